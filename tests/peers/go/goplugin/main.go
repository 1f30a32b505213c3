// The plugin: a Subject behind the real go-plugin. INTEROP_MODE names a way to misbehave,
// see modes.go.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"trunkline/tests/peers/interop"
	"trunkline/tests/peers/wire"
)

// What go-plugin does not touch, whatever it makes of os.Stdout and os.Stderr.
var (
	fd1 = os.Stdout
	fd2 = os.Stderr
)

func main() {
	logger := hclog.New(&hclog.LoggerOptions{
		Name: "subject", Level: hclog.Trace, Output: fd2, JSONFormat: true,
	})
	config := &plugin.ServeConfig{
		HandshakeConfig: interop.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{
			1: {interop.Name: &subjectPlugin{version: 1, logger: logger}},
			2: {interop.Name: &subjectPlugin{version: 2, logger: logger}},
		},
		GRPCServer: interop.Server,
		Logger:     logger,
	}
	if len(os.Args) == 2 && os.Args[1] == "-test-mode" {
		serveInTestMode(config)
		return
	}
	misbehave(os.Getenv("INTEROP_MODE"), config)
	plugin.Serve(config)
}

// serveInTestMode prints how to attach, as TF_REATTACH_PROVIDERS has it, and serves until
// standard input ends.
func serveInTestMode(config *plugin.ServeConfig) {
	ctx, cancel := context.WithCancel(context.Background())
	attach := make(chan *plugin.ReattachConfig, 1)
	closed := make(chan struct{})
	config.Test = &plugin.ServeTestConfig{Context: ctx, ReattachConfigCh: attach, CloseCh: closed}
	go plugin.Serve(config)
	known := <-attach
	type address struct{ Network, String string }
	printed, err := json.Marshal(map[string]any{
		"Protocol":        known.Protocol,
		"ProtocolVersion": known.ProtocolVersion,
		"Pid":             known.Pid,
		"Test":            known.Test,
		"Addr":            address{known.Addr.Network(), known.Addr.String()},
	})
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(fd1, "%s\n", printed)
	go func() {
		if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
			cancel()
		}
	}()
	<-closed
	cancel()
}

// subjectPlugin is the plugin's end of what the host dispenses.
type subjectPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	version uint32
	logger  hclog.Logger
}

func (p *subjectPlugin) GRPCServer(broker *plugin.GRPCBroker, server *grpc.Server) error {
	wire.RegisterSubjectServer(server, &subject{version: p.version, logger: p.logger, broker: broker})
	return nil
}

func (p *subjectPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, fmt.Errorf("this is the plugin")
}
