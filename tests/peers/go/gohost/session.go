package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	"trunkline/tests/peers/interop"
	"trunkline/tests/peers/wire"
)

// session is one plugin that runs, and all that the host hears of it.
type session struct {
	options options
	details map[string]any
	client  *plugin.Client
	heard   *heard
	dispensed
}

// dispensed is what go-plugin gives the application.
type dispensed struct {
	subject wire.SubjectClient
	conn    *grpc.ClientConn
	broker  *plugin.GRPCBroker
}

// heard is what arrived beside the calls.
type heard struct {
	stdout, stderr, raw, log buffer
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	lock sync.Mutex
	data bytes.Buffer
}

func (b *buffer) Write(data []byte) (int, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.data.Write(data)
}

func (b *buffer) String() string {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.data.String()
}

// lines are what the host's logger was given, as hclog prints it.
func (h *heard) lines() []map[string]any {
	var lines []map[string]any
	for line := range strings.Lines(h.log.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil {
			lines = append(lines, fields)
		}
	}
	return lines
}

// line is the first that the test finds.
func (h *heard) line(test func(map[string]any) bool) map[string]any {
	for _, line := range h.lines() {
		if test(line) {
			return line
		}
	}
	return nil
}

func says(text string) func(map[string]any) bool {
	return func(line map[string]any) bool {
		message, _ := line["@message"].(string)
		return strings.Contains(message, text)
	}
}

// hostPlugin is the host's end of what is dispensed.
type hostPlugin struct {
	plugin.NetRPCUnsupportedPlugin
}

func (hostPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this is the host")
}

func (hostPlugin) GRPCClient(_ context.Context, broker *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return dispensed{subject: wire.NewSubjectClient(conn), conn: conn, broker: broker}, nil
}

// configure is what all plugins get, launched or reattached to.
func configure(heard *heard) *plugin.ClientConfig {
	return &plugin.ClientConfig{
		HandshakeConfig:  interop.Handshake,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger: hclog.New(&hclog.LoggerOptions{
			Name: "host", Level: hclog.Trace, Output: &heard.log, JSONFormat: true,
		}),
		SyncStdout: &heard.stdout,
		SyncStderr: &heard.stderr,
		Stderr:     &heard.raw,
	}
}

func launch(options options) (*plugin.Client, *heard, error) {
	heard := &heard{}
	config := configure(heard)
	config.Cmd = exec.Command(options.plugin, options.arguments...)
	config.StartTimeout = options.timeout / 2
	config.AutoMTLS = options.mtls
	config.VersionedPlugins = map[int]plugin.PluginSet{}
	for _, version := range options.versions {
		config.VersionedPlugins[version] = plugin.PluginSet{interop.Name: hostPlugin{}}
	}
	// It would be added to the versions.
	config.HandshakeConfig.ProtocolVersion = uint(options.versions[0])
	if options.mux {
		if err := multiplex(config); err != nil {
			return nil, nil, err
		}
	}
	return plugin.NewClient(config), heard, nil
}

func dispense(client *plugin.Client) (dispensed, error) {
	if _, err := client.Start(); err != nil {
		return dispensed{}, err
	}
	if attached := client.ReattachConfig(); attached != nil {
		launched.Store(int64(attached.Pid))
	}
	protocol, err := client.Client()
	if err != nil {
		return dispensed{}, err
	}
	raw, err := protocol.Dispense(interop.Name)
	if err != nil {
		return dispensed{}, err
	}
	plugged, ok := raw.(dispensed)
	if !ok {
		return dispensed{}, fmt.Errorf("dispensed a %T", raw)
	}
	return plugged, nil
}

// withPlugin launches the plugin for a scenario, and kills it afterwards.
func withPlugin(
	scenario func(context.Context, *session) error,
) func(context.Context, options, map[string]any) error {
	return func(ctx context.Context, options options, details map[string]any) error {
		client, heard, err := launch(options)
		if err != nil {
			return err
		}
		defer client.Kill()
		plugged, err := dispense(client)
		if err != nil {
			return explain(err, heard)
		}
		details["version"] = client.NegotiatedVersion()
		session := &session{
			options: options, details: details, client: client, heard: heard, dispensed: plugged,
		}
		if err := scenario(ctx, session); err != nil {
			return explain(err, heard)
		}
		return nil
	}
}

// explain adds what the plugin wrote to standard error.
func explain(err error, heard *heard) error {
	raw := heard.raw.String()
	if len(raw) > 4000 {
		raw = "..." + raw[len(raw)-4000:]
	}
	return fmt.Errorf("%w\nthe plugin's standard error:\n%s", err, raw)
}

// pid is the plugin's process.
func (s *session) pid() int {
	return s.client.ReattachConfig().Pid
}

// until asks again until the answer is yes, or time is up.
func until(ctx context.Context, what string, probe func() bool) error {
	for !probe() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain until %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

func alive(pid int) bool {
	return unix.Kill(pid, 0) == nil
}
