// Package interop is what the Go host and the Go plugin share: how they know each other,
// and the service that either serves on brokered connections.
package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"trunkline/tests/peers/wire"
)

// Name is what the plugin is called in plugin sets.
const Name = "subject"

// Handshake is that of all programs here, in Go and in Rust.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "TRUNKLINE_INTEROP",
	MagicCookieValue: "bread",
}

// Server makes servers that take messages of any size, like go-plugin's clients.
func Server(options []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(options,
		grpc.MaxRecvMsgSize(math.MaxInt32), grpc.MaxSendMsgSize(math.MaxInt32))...)
}

// Register serves a Callback at the broker. It returns when the broker has announced it,
// so the id may be told to the peer.
func Register(broker *plugin.GRPCBroker, callback wire.CallbackServer) (uint32, func(), error) {
	id := broker.NextId()
	servers := make(chan *grpc.Server, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		broker.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
			server := Server(options)
			wire.RegisterCallbackServer(server, callback)
			servers <- server
			return server
		})
	}()
	select {
	case server := <-servers:
		return id, server.Stop, nil
	case <-ended:
		// The broker only logs why.
		return 0, nil, fmt.Errorf("the broker did not accept for id %d", id)
	}
}

// Callback is the service of brokered connections.
type Callback struct {
	wire.UnimplementedCallbackServer
	Number uint32
}

func (c *Callback) Hear(_ context.Context, heard *wire.Text) (*wire.Text, error) {
	return &wire.Text{Text: "[" + heard.Text + "]"}, nil
}

func (c *Callback) Declare(context.Context, *wire.Nothing) (*wire.Number, error) {
	return &wire.Number{Number: c.Number}, nil
}

func (c *Callback) Big(_ context.Context, payload *wire.Payload) (*wire.Payload, error) {
	return payload, nil
}

func (c *Callback) Converse(stream wire.Callback_ConverseServer) error {
	for {
		payload, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&wire.Payload{Seq: payload.Seq, Data: reversed(payload.Data)}); err != nil {
			return err
		}
	}
}

// Converse exchanges so many messages, and checks what comes back.
func Converse(ctx context.Context, client wire.CallbackClient, messages, bytesEach int) (*wire.Summary, error) {
	stream, err := client.Converse(ctx)
	if err != nil {
		return nil, err
	}
	sent := make(chan error, 1)
	go func() {
		for seq := range messages {
			payload := &wire.Payload{Seq: uint64(seq), Data: pattern(seq, bytesEach)}
			if err := stream.Send(payload); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	summary := &wire.Summary{Intact: true}
	for {
		payload, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		expected := reversed(pattern(int(summary.Messages), bytesEach))
		if payload.Seq != summary.Messages || !bytes.Equal(payload.Data, expected) {
			summary.Intact = false
		}
		summary.Messages++
		summary.Bytes += uint64(len(payload.Data))
	}
	return summary, <-sent
}

// Big sends so many bytes, and checks what comes back.
func Big(ctx context.Context, client wire.CallbackClient, size int) (*wire.Summary, error) {
	data := pattern(1, size)
	payload, err := client.Big(ctx, &wire.Payload{Seq: 1, Data: data})
	if err != nil {
		return nil, err
	}
	return &wire.Summary{
		Messages: 1,
		Bytes:    uint64(len(payload.Data)),
		Intact:   payload.Seq == 1 && bytes.Equal(payload.Data, data),
	}, nil
}

func pattern(seq, size int) []byte {
	data := make([]byte, size)
	for at := range data {
		data[at] = byte(at*31 + seq)
	}
	return data
}

func reversed(data []byte) []byte {
	turned := make([]byte, len(data))
	for at, one := range data {
		turned[len(data)-1-at] = one
	}
	return turned
}
