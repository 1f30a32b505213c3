package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/jhump/grpctunnel"
	"github.com/jhump/grpctunnel/tunnelpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"trunkline/benches/peers/wire"
)

// jhump/grpctunnel, reverse: the parent opens the network connection and serves on the
// tunnels that it opens in it; the child, which is the network's server, calls back
// through them. A sub-channel is a tunnel.

// idKey is the metadata that tells tunnels apart.
const idKey = "sub-channel"

// tunnels are opened by the parent.
type tunnels struct {
	stub tunnelpb.TunnelServiceClient
	last atomic.Uint64
}

func (t *tunnels) register(service wire.ParentServer) (uint64, func(), error) {
	id := t.last.Add(1)
	free, err := t.open(id, service)
	return id, free, err
}

// open returns when the child has answered, which it does before anybody calls.
func (t *tunnels) open(id uint64, service wire.ParentServer) (func(), error) {
	answered := answered{TunnelServiceClient: t.stub, result: make(chan error, 1)}
	server := grpctunnel.NewReverseTunnelServer(answered)
	wire.RegisterParentServer(server, service)
	text := strconv.FormatUint(id, 10)
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(context.Background(), idKey, text))
	go func() { _, _ = server.Serve(ctx) }()
	if err := <-answered.result; err != nil {
		cancel()
		return nil, err
	}
	return cancel, nil
}

// answered tells when a tunnel that is opened through it is there.
type answered struct {
	tunnelpb.TunnelServiceClient
	result chan error
}

func (a answered) OpenReverseTunnel(
	ctx context.Context, options ...grpc.CallOption,
) (tunnelpb.TunnelService_OpenReverseTunnelClient, error) {
	stream, err := a.TunnelServiceClient.OpenReverseTunnel(ctx, options...)
	if err == nil {
		_, err = stream.Header()
	}
	a.result <- err
	return stream, err
}

func launchTunnel(system string, plan plan) (figures, error) {
	folder, err := os.MkdirTemp("", "peers")
	if err != nil {
		return figures{}, err
	}
	defer os.RemoveAll(folder)
	child, err := command(system, plan, "--sockets="+folder)
	if err != nil {
		return figures{}, err
	}
	output, err := child.StdoutPipe()
	if err != nil {
		return figures{}, err
	}
	if err := child.Start(); err != nil {
		return figures{}, err
	}
	defer func() { _ = child.Process.Kill() }()
	// It says so when it listens.
	if _, err := bufio.NewReader(output).ReadString('\n'); err != nil {
		return figures{}, fmt.Errorf("the child does not listen: %w", err)
	}
	insecure := grpc.WithTransportCredentials(insecure.NewCredentials())
	network, err := grpc.NewClient("unix:"+filepath.Join(folder, "socket"), insecure)
	if err != nil {
		return figures{}, err
	}
	defer network.Close()
	tunnels := &tunnels{stub: tunnelpb.NewTunnelServiceClient(network)}
	service := newService(tunnels)
	free, err := tunnels.open(0, service)
	if err != nil {
		return figures{}, err
	}
	defer free()
	return await(child, service.shared.reports)
}

func tunnelChild(options options) error {
	caller := &tunnelCaller{arrived: map[uint64]chan grpctunnel.TunnelChannel{}}
	handler := grpctunnel.NewTunnelServiceHandler(grpctunnel.TunnelServiceHandlerOptions{
		OnReverseTunnelOpen: caller.arrive,
	})
	listener, err := net.Listen("unix", filepath.Join(options.sockets, "socket"))
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	tunnelpb.RegisterTunnelServiceServer(server, handler.Service())
	go func() { _ = server.Serve(listener) }()
	fmt.Println("listening")
	base, err := caller.dial(0)
	if err != nil {
		return err
	}
	return work(caller, base, options)
}

// tunnelCaller has the tunnels that the parent has opened.
type tunnelCaller struct {
	mutex   sync.Mutex
	arrived map[uint64]chan grpctunnel.TunnelChannel
}

// place is where a tunnel is handed over, from whichever side comes first.
func (c *tunnelCaller) place(id uint64) chan grpctunnel.TunnelChannel {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	place, ok := c.arrived[id]
	if ok {
		delete(c.arrived, id)
	} else {
		place = make(chan grpctunnel.TunnelChannel, 1)
		c.arrived[id] = place
	}
	return place
}

func (c *tunnelCaller) arrive(tunnel grpctunnel.TunnelChannel) {
	headers, _ := metadata.FromIncomingContext(tunnel.Context())
	for _, text := range headers.Get(idKey) {
		if id, err := strconv.ParseUint(text, 10, 64); err == nil {
			c.place(id) <- tunnel
		}
	}
}

func (c *tunnelCaller) dial(id uint64) (connection, error) {
	return tunnelConnection{<-c.place(id)}, nil
}

func (*tunnelCaller) kind() kind {
	return kind{subChannels: true, parallel: true}
}

// tunnelConnection is a tunnel with a Close like that of a connection.
type tunnelConnection struct {
	grpctunnel.TunnelChannel
}

func (t tunnelConnection) Close() error {
	t.TunnelChannel.Close()
	return nil
}
