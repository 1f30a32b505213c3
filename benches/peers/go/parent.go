package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	"trunkline/benches/peers/wire"
)

// registrar makes sub-channels ready to be dialled.
type registrar interface {
	// register returns the number that the child dials, and what frees it.
	register(service wire.ParentServer) (id uint64, free func(), err error)
}

// shared is what all sub-channels of one parent share.
type shared struct {
	registrar registrar
	reports   chan *wire.Figures
	labels    atomic.Uint64
	mutex     sync.Mutex
	held      map[uint64]func()
}

// service is what the child calls back, on one sub-channel.
type service struct {
	wire.UnimplementedParentServer
	shared *shared
	// Which sub-channel this one serves; 0 is the first.
	label uint64
}

func newService(registrar registrar) *service {
	reports := make(chan *wire.Figures, 1)
	return &service{shared: &shared{registrar: registrar, reports: reports, held: map[uint64]func(){}}}
}

func (s *service) Echo(_ context.Context, payload *wire.Payload) (*wire.Payload, error) {
	return payload, nil
}

func (s *service) Identify(_ context.Context, payload *wire.Payload) (*wire.Identity, error) {
	return &wire.Identity{Data: payload.Data, Label: s.label}, nil
}

func (s *service) Bulk(stream grpc.ClientStreamingServer[wire.Payload, wire.Received]) error {
	var received wire.Received
	for {
		payload, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&received)
		}
		if err != nil {
			return err
		}
		received.Messages++
		received.Bytes += uint64(len(payload.Data))
	}
}

func (s *service) Register(_ context.Context, count *wire.Count) (*wire.Registered, error) {
	registered := &wire.Registered{}
	made := map[uint64]func(){}
	for range count.SubChannels {
		label := s.shared.labels.Add(1)
		began := monotonic()
		id, free, err := s.shared.registrar.register(&service{shared: s.shared, label: label})
		registered.Nanoseconds += uint64(monotonic() - began)
		if err != nil {
			for _, free := range made {
				free()
			}
			return nil, err
		}
		registered.SubChannels = append(registered.SubChannels, &wire.SubChannel{Id: id, Label: label})
		made[id] = free
	}
	s.shared.mutex.Lock()
	defer s.shared.mutex.Unlock()
	maps.Copy(s.shared.held, made)
	return registered, nil
}

func (s *service) Release(_ context.Context, ids *wire.Ids) (*wire.Nothing, error) {
	for _, id := range ids.Ids {
		s.shared.mutex.Lock()
		free := s.shared.held[id]
		delete(s.shared.held, id)
		s.shared.mutex.Unlock()
		if free != nil {
			free()
		}
	}
	return &wire.Nothing{}, nil
}

func (s *service) Usage(_ context.Context, moment *wire.Moment) (*wire.Resources, error) {
	return usage(moment.AtRest), nil
}

func (s *service) Report(_ context.Context, report *wire.Figures) (*wire.Nothing, error) {
	s.shared.reports <- report
	return &wire.Nothing{}, nil
}
