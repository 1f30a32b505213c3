package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"trunkline/benches/peers/wire"
)

// hashicorp/go-plugin as its users have it: the host serves with AcceptAndServe, the
// plugin dials the id that it is told.

var handshake = plugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "TRUNKLINE_PEERS",
	MagicCookieValue: "peers",
}

// childPlugin is both ends of what the host dispenses.
type childPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	system  string
	options options
}

// dispensed is the host's end.
type dispensed struct {
	broker *plugin.GRPCBroker
	child  wire.ChildClient
}

func (p *childPlugin) GRPCClient(
	_ context.Context, broker *plugin.GRPCBroker, conn *grpc.ClientConn,
) (any, error) {
	return dispensed{broker: broker, child: wire.NewChildClient(conn)}, nil
}

func (p *childPlugin) GRPCServer(broker *plugin.GRPCBroker, server *grpc.Server) error {
	caller := pluginCaller{broker: broker, multiplexed: p.system == "goplugin_mux"}
	wire.RegisterChildServer(server, &childService{caller: caller, options: p.options})
	return nil
}

// brokered registers sub-channels at the host's broker.
type brokered struct {
	broker *plugin.GRPCBroker
}

func (b *brokered) register(service wire.ParentServer) (uint64, func(), error) {
	id := b.broker.NextId()
	// It is asked for when the broker has a listener and has announced it.
	servers := make(chan *grpc.Server, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.broker.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
			server := grpc.NewServer(options...)
			wire.RegisterParentServer(server, service)
			servers <- server
			return server
		})
	}()
	select {
	case server := <-servers:
		return uint64(id), server.Stop, nil
	case <-ended:
		// The broker only logs why.
		return 0, nil, fmt.Errorf("the broker did not accept sub-channel %d", id)
	}
}

func launchPlugin(system string, plan plan) (figures, error) {
	child, err := command(system, plan)
	if err != nil {
		return figures{}, err
	}
	child.Stderr = nil // the library takes it
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:     handshake,
		Plugins:             plugin.PluginSet{"child": &childPlugin{system: system}},
		Cmd:                 child,
		AllowedProtocols:    []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:              hclog.NewNullLogger(),
		Stderr:              os.Stderr,
		AutoMTLS:            system == "goplugin_mtls",
		GRPCBrokerMultiplex: system == "goplugin_mux",
	})
	defer client.Kill()
	protocol, err := client.Client()
	if err != nil {
		return figures{}, err
	}
	raw, err := protocol.Dispense("child")
	if err != nil {
		return figures{}, err
	}
	plugged, ok := raw.(dispensed)
	if !ok {
		return figures{}, fmt.Errorf("dispensed a %T", raw)
	}
	registrar := &brokered{broker: plugged.broker}
	service := newService(registrar)
	id, free, err := registrar.register(service)
	if err != nil {
		return figures{}, err
	}
	defer free()
	if _, err := plugged.child.Start(context.Background(), &wire.Base{Id: id}); err != nil {
		return figures{}, err
	}
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case report := <-service.shared.reports:
			return figuresOf(report)
		case <-look.C:
			if client.Exited() {
				return figures{}, errors.New("the plugin ended")
			}
		}
	}
}

func pluginChild(system string, options options) error {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake,
		Plugins:         plugin.PluginSet{"child": &childPlugin{system: system, options: options}},
		GRPCServer:      plugin.DefaultGRPCServer,
		Logger:          hclog.NewNullLogger(),
	})
	return nil
}

// childService is the plugin's end.
type childService struct {
	wire.UnimplementedChildServer
	caller  pluginCaller
	options options
}

func (s *childService) Start(_ context.Context, first *wire.Base) (*wire.Nothing, error) {
	base, err := s.caller.dial(first.Id)
	if err != nil {
		return nil, err
	}
	go func() {
		if err := work(s.caller, base, s.options); err != nil {
			fmt.Fprintln(os.Stderr, "peers: no report could be made:", err)
			os.Exit(1)
		}
	}()
	return &wire.Nothing{}, nil
}

type pluginCaller struct {
	broker      *plugin.GRPCBroker
	multiplexed bool
}

func (c pluginCaller) dial(id uint64) (connection, error) {
	return c.broker.Dial(uint32(id))
}

func (c pluginCaller) kind() kind {
	// "Multiplexed gRPC streams MUST be established sequentially", says the library.
	return kind{subChannels: true, parallel: !c.multiplexed}
}
