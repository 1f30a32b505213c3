package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	"trunkline/tests/peers/interop"
	"trunkline/tests/peers/wire"
)

// bigBytes is more than the 4 MiB that gRPC servers and clients take unless told otherwise.
const bigBytes = 5 << 20

func (s *session) echo(ctx context.Context, size int) error {
	sent := &wire.Payload{Seq: 7, Data: bytes.Repeat([]byte{7}, size)}
	got, err := s.subject.Echo(ctx, sent)
	if err != nil {
		return fmt.Errorf("echo of %d bytes: %w", size, err)
	}
	if got.Seq != sent.Seq || !bytes.Equal(got.Data, sent.Data) {
		return fmt.Errorf("echo of %d bytes: something else came back", size)
	}
	return nil
}

func call(ctx context.Context, s *session) error {
	if err := s.echo(ctx, 1000); err != nil {
		return err
	}
	stream, err := s.subject.Converse(ctx)
	if err != nil {
		return err
	}
	for seq := range uint64(10) {
		if err := stream.Send(&wire.Payload{Seq: seq}); err != nil {
			return err
		}
		payload, err := stream.Recv()
		if err != nil {
			return err
		}
		if payload.Seq != seq {
			return fmt.Errorf("message %d instead of %d", payload.Seq, seq)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("the stream ended with %w", err)
	}
	return nil
}

// callback registers twice, because without multiplexing the plugin can dial an id once.
func callback(ctx context.Context, s *session) error {
	for _, text := range []string{"hello", "again"} {
		id, stop, err := interop.Register(s.broker, &interop.Callback{})
		if err != nil {
			return err
		}
		defer stop()
		heard, err := s.subject.CallBack(ctx, &wire.CallbackRequest{ServiceId: id, Text: text})
		if err != nil {
			return err
		}
		if heard.Text != "["+text+"]" {
			return fmt.Errorf("the callback was answered %q", heard.Text)
		}
	}
	return nil
}

// hand has the plugin register a Callback.
func (s *session) hand(ctx context.Context, number uint32) (wire.CallbackClient, func(), error) {
	handed, err := s.subject.Hand(ctx, &wire.HandRequest{Number: number})
	if err != nil {
		return nil, nil, err
	}
	connection, err := s.broker.Dial(handed.ServiceId)
	if err != nil {
		return nil, nil, fmt.Errorf("id %d: %w", handed.ServiceId, err)
	}
	return wire.NewCallbackClient(connection), func() { connection.Close() }, nil
}

func (s *session) declared(ctx context.Context, number uint32) (uint32, error) {
	callback, hangUp, err := s.hand(ctx, number)
	if err != nil {
		return 0, err
	}
	defer hangUp()
	declared, err := callback.Declare(ctx, &wire.Nothing{})
	if err != nil {
		return 0, err
	}
	return declared.Number, nil
}

func handed(ctx context.Context, s *session) error {
	number, err := s.declared(ctx, 77)
	if err == nil && number != 77 {
		err = fmt.Errorf("the plugin handed number %d", number)
	}
	return err
}

func streaming(ctx context.Context, s *session) error {
	const messages, bytesEach = 500, 2000
	id, stop, err := interop.Register(s.broker, &interop.Callback{})
	if err != nil {
		return err
	}
	defer stop()
	back, err := s.subject.StreamBack(ctx, &wire.StreamBackRequest{
		ServiceId: id, Messages: messages, BytesEach: bytesEach,
	})
	if err != nil {
		return err
	}
	callback, hangUp, err := s.hand(ctx, 1)
	if err != nil {
		return err
	}
	defer hangUp()
	forth, err := interop.Converse(ctx, callback, messages, bytesEach)
	if err != nil {
		return err
	}
	for direction, summary := range map[string]*wire.Summary{"back": back, "forth": forth} {
		if !summary.Intact || summary.Messages != messages || summary.Bytes != messages*bytesEach {
			return fmt.Errorf("the stream %s was %v", direction, summary)
		}
	}
	return nil
}

func big(ctx context.Context, s *session) error {
	if err := s.echo(ctx, bigBytes); err != nil {
		return err
	}
	id, stop, err := interop.Register(s.broker, &interop.Callback{})
	if err != nil {
		return err
	}
	defer stop()
	back, err := s.subject.BigBack(ctx, &wire.BigBackRequest{ServiceId: id, Bytes: bigBytes})
	if err != nil {
		return fmt.Errorf("the plugin to a brokered service: %w", err)
	}
	callback, hangUp, err := s.hand(ctx, 1)
	if err != nil {
		return err
	}
	defer hangUp()
	forth, err := interop.Big(ctx, callback, bigBytes)
	if err != nil {
		return fmt.Errorf("the host to a brokered service: %w", err)
	}
	if !back.Intact || !forth.Intact {
		return fmt.Errorf("back %v, forth %v", back, forth)
	}
	return nil
}

// many opens so many brokered connections each way at once. Every one must reach the
// service that it was meant for.
func many(ctx context.Context, s *session) error {
	return s.opens(ctx, s.options.count, func(open func(int)) {
		var all sync.WaitGroup
		for at := range s.options.count {
			all.Add(1)
			go func() {
				defer all.Done()
				open(at)
			}()
		}
		all.Wait()
	})
}

// sequential is the same one by one, as go-plugin asks for when it multiplexes.
func sequential(ctx context.Context, s *session) error {
	return s.opens(ctx, 1, func(open func(int)) {
		for at := range s.options.count {
			open(at)
		}
	})
}

// opens does it one way and then the other; the plugin dials so many at a time.
func (s *session) opens(ctx context.Context, together int, each func(open func(int))) error {
	const base = 1000
	var lock sync.Mutex
	var misrouted, failures []string
	note := func(list *[]string, format string, values ...any) {
		lock.Lock()
		defer lock.Unlock()
		*list = append(*list, fmt.Sprintf(format, values...))
	}

	// The plugin registers, the host dials.
	each(func(at int) {
		number, err := s.declared(ctx, uint32(base+at))
		if err != nil {
			note(&failures, "forth %d: %s", at, err)
		} else if number != uint32(base+at) {
			note(&misrouted, "forth: %d instead of %d", number, base+at)
		}
	})

	// The host registers, the plugin dials.
	ids := make([]uint32, s.options.count)
	each(func(at int) {
		id, stop, err := interop.Register(s.broker, &interop.Callback{Number: uint32(base + at)})
		if err != nil {
			note(&failures, "register %d: %s", at, err)
			return
		}
		context.AfterFunc(ctx, stop)
		if together > 1 {
			ids[at] = id
			return
		}
		s.dialMany(ctx, []uint32{id}, base+at, func(number, expected int) {
			note(&misrouted, "back: %d instead of %d", number, expected)
		}, func(failure string) { note(&failures, "back: %s", failure) })
	})
	if together > 1 {
		s.dialMany(ctx, ids, base, func(number, expected int) {
			note(&misrouted, "back: %d instead of %d", number, expected)
		}, func(failure string) { note(&failures, "back: %s", failure) })
	}

	s.details["opens"] = 2 * s.options.count
	s.details["misrouted"] = len(misrouted)
	s.details["failed"] = len(failures)
	if len(misrouted)+len(failures) > 0 {
		return fmt.Errorf("%d misrouted, %d failed, such as %q", len(misrouted), len(failures),
			slices.Concat(misrouted[:min(3, len(misrouted))], failures[:min(3, len(failures))]))
	}
	return nil
}

// dialMany has the plugin dial these ids, which declare the numbers from base on.
func (s *session) dialMany(
	ctx context.Context, ids []uint32, base int, wrong func(number, expected int), failed func(string),
) {
	reply, err := s.subject.DialMany(ctx, &wire.DialManyRequest{ServiceIds: ids})
	if err != nil {
		failed(err.Error())
		return
	}
	for _, failure := range reply.Failures {
		failed(failure)
	}
	if len(reply.Failures) > 0 {
		return
	}
	for at, number := range reply.Numbers {
		if int(number) != base+at {
			wrong(int(number), base+at)
		}
	}
}

func ping(_ context.Context, s *session) error {
	protocol, err := s.client.Client()
	if err != nil {
		return err
	}
	return protocol.Ping()
}

func versions(ctx context.Context, s *session) error {
	number, err := s.subject.Version(ctx, &wire.Nothing{})
	if err != nil {
		return err
	}
	s.details["plugin"] = number.Number
	if int(number.Number) != s.client.NegotiatedVersion() {
		return fmt.Errorf("the plugin is at %d, the host at %d", number.Number, s.client.NegotiatedVersion())
	}
	return nil
}

func environment(ctx context.Context, s *session) error {
	for name := range strings.SplitSeq(s.options.how, ",") {
		reply, err := s.subject.Env(ctx, &wire.Text{Text: name})
		if err != nil {
			return err
		}
		s.details[name] = nil
		if reply.Set {
			s.details[name] = reply.Value
		}
	}
	return nil
}

func reflection(ctx context.Context, s *session) error {
	stream, err := grpc_reflection_v1alpha.NewServerReflectionClient(s.conn).ServerReflectionInfo(ctx)
	if err != nil {
		return err
	}
	err = stream.Send(&grpc_reflection_v1alpha.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1alpha.ServerReflectionRequest_ListServices{ListServices: "*"},
	})
	if err != nil {
		return err
	}
	reply, err := stream.Recv()
	if err != nil {
		return err
	}
	var services []string
	for _, service := range reply.GetListServicesResponse().GetService() {
		services = append(services, service.Name)
	}
	slices.Sort(services)
	s.details["services"] = services
	for _, expected := range []string{
		"grpc.health.v1.Health", "plugin.GRPCBroker", "plugin.GRPCController", "plugin.GRPCStdio",
	} {
		if !slices.Contains(services, expected) {
			return fmt.Errorf("%s is not in %q", expected, services)
		}
	}
	return nil
}
