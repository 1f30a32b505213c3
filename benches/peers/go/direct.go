package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"trunkline/benches/peers/wire"
)

// grpc-go without a broker: a dedicated connection over a Unix socket. To open one more
// sub-channel, an application without a broker binds another listener with a server and
// connects to it, so that is what is measured. The listener takes one connection and is
// gone.

// sockets are the parent's, in a folder of their own.
type sockets struct {
	folder string
	last   atomic.Uint64
}

func (s *sockets) path(id uint64) string {
	return filepath.Join(s.folder, strconv.FormatUint(id, 10))
}

func (s *sockets) register(service wire.ParentServer) (uint64, func(), error) {
	id := s.last.Add(1)
	free, err := s.serve(id, service)
	return id, free, err
}

func (s *sockets) serve(id uint64, service wire.ParentServer) (func(), error) {
	listener, err := net.Listen("unix", s.path(id))
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer()
	wire.RegisterParentServer(server, service)
	go func() { _ = server.Serve(&forOne{Listener: listener}) }()
	return server.Stop, nil
}

// forOne is a listener that is closed when it has accepted a connection.
type forOne struct {
	net.Listener
	accepted bool
}

func (l *forOne) Accept() (net.Conn, error) {
	if l.accepted {
		// Ends Serve, not the connection.
		return nil, net.ErrClosed
	}
	connection, err := l.Listener.Accept()
	l.accepted = true
	return connection, errors.Join(err, l.Listener.Close())
}

func launchDirect(system string, plan plan) (figures, error) {
	folder, err := os.MkdirTemp("", "peers")
	if err != nil {
		return figures{}, err
	}
	defer os.RemoveAll(folder)
	sockets := &sockets{folder: folder}
	service := newService(sockets)
	free, err := sockets.serve(0, service)
	if err != nil {
		return figures{}, err
	}
	defer free()
	child, err := command(system, plan, "--sockets="+folder)
	if err != nil {
		return figures{}, err
	}
	if err := child.Start(); err != nil {
		return figures{}, err
	}
	return await(child, service.shared.reports)
}

func directChild(options options) error {
	caller := directCaller{sockets: &sockets{folder: options.sockets}}
	base, err := caller.dial(0)
	if err != nil {
		return err
	}
	return work(caller, base, options)
}

type directCaller struct {
	sockets *sockets
}

func (c directCaller) dial(id uint64) (connection, error) {
	insecure := grpc.WithTransportCredentials(insecure.NewCredentials())
	return grpc.NewClient("unix:"+c.sockets.path(id), insecure)
}

func (directCaller) kind() kind {
	return kind{subChannels: false, parallel: true}
}
