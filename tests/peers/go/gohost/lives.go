package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"
	"golang.org/x/sys/unix"

	"trunkline/tests/peers/interop"
	"trunkline/tests/peers/wire"
)

func sigint(ctx context.Context, s *session) error {
	for range 3 {
		if err := unix.Kill(s.pid(), unix.SIGINT); err != nil {
			return err
		}
		if err := s.echo(ctx, 10); err != nil {
			return fmt.Errorf("after SIGINT: %w", err)
		}
	}
	return nil
}

func stdio(ctx context.Context, s *session) error {
	said := []struct {
		output wire.SayRequest_Output
		text   string
	}{
		{wire.SayRequest_STDOUT, "to standard output\n"},
		{wire.SayRequest_STDERR, "to standard error\n"},
		{wire.SayRequest_STDOUT, strings.Repeat("0123456789abcdef", 1024) + "\n"},
		{wire.SayRequest_STDOUT, "no newline\x00\xff"},
	}
	for _, say := range said {
		_, err := s.subject.Say(ctx, &wire.SayRequest{Output: say.output, Data: []byte(say.text)})
		if err != nil {
			return err
		}
	}
	err := until(ctx, "all that was said is there", func() bool {
		return strings.Contains(s.heard.stdout.String(), said[0].text+said[2].text+said[3].text) &&
			strings.Contains(s.heard.stderr.String(), said[1].text)
	})
	s.details["stdout"] = len(s.heard.stdout.String())
	s.details["stderr"] = len(s.heard.stderr.String())
	return err
}

func logLines(ctx context.Context, s *session) error {
	for _, level := range []string{"trace", "debug", "info", "warn", "error"} {
		text := "a line at " + level
		_, err := s.subject.LogLine(ctx, &wire.LogRequest{
			Level: level, Message: text, Values: map[string]string{"fruit": "apple " + level},
		})
		if err != nil {
			return err
		}
		err = until(ctx, "the logger has "+text, func() bool {
			return s.heard.line(func(line map[string]any) bool {
				return says(text)(line) && line["@level"] == level && line["fruit"] == "apple "+level
			}) != nil
		})
		if err != nil {
			return fmt.Errorf("%w, but %v", err, s.heard.line(says(text)))
		}
	}
	s.details["lines"] = s.heard.lines()
	return nil
}

// kill stops a plugin that is busy, and reports whether it went by itself.
func kill(ctx context.Context, s *session) error {
	if err := callback(ctx, s); err != nil {
		return err
	}
	if err := handed(ctx, s); err != nil {
		return err
	}
	hanging := make(chan error, 1)
	go func() {
		_, err := s.subject.Hang(ctx, &wire.Nothing{})
		hanging <- err
	}()
	attached := s.client.ReattachConfig()
	started := time.Now()
	s.client.Kill()
	s.details["seconds"] = time.Since(started).Seconds()
	forced := s.heard.line(says("failed to exit gracefully")) != nil
	s.details["forced"] = forced
	_, missing := os.Stat(attached.Addr.String())
	s.details["socket_left"] = missing == nil
	s.details["exit"] = s.heard.line(says("plugin process exited"))
	if err := <-hanging; err == nil {
		return errors.New("the call that hangs was answered")
	}
	if !s.client.Exited() {
		return errors.New("it did not exit")
	}
	if alive(attached.Pid) {
		return fmt.Errorf("process %d is left", attached.Pid)
	}
	if forced {
		return errors.New("the plugin did not exit by itself")
	}
	return nil
}

// crash has the plugin end in the middle of a call.
func crash(ctx context.Context, s *session) error {
	pid := s.pid()
	if _, err := s.subject.Crash(ctx, &wire.CrashRequest{How: s.options.how}); err == nil {
		return errors.New("a plugin that crashes answered")
	}
	if err := until(ctx, "the host sees the exit", s.client.Exited); err != nil {
		return err
	}
	if alive(pid) {
		return fmt.Errorf("process %d is left", pid)
	}
	exit := s.heard.line(says("plugin process exited"))
	s.details["exit"] = exit
	kind, code, _ := strings.Cut(s.options.how, ":")
	status := map[string]string{"exit": "exit status " + code, "kill": "signal: killed", "panic": ""}[kind]
	if text, _ := exit["error"].(string); !strings.Contains(text, status) {
		return fmt.Errorf("the exit was %v", exit)
	}
	if kind == "panic" {
		s.details["panic"] = s.heard.line(says("panic: "))
		if s.details["panic"] == nil || s.heard.line(says("as asked")) == nil {
			return fmt.Errorf("no panic in the log: %v", s.heard.lines())
		}
	}
	return nil
}

// reattach leaves a plugin to a second client, which kills it; or attaches to one that
// somebody else started.
func reattach(ctx context.Context, options options, details map[string]any) error {
	if options.reattach != "" {
		attached, err := parse(options.reattach)
		if err != nil {
			return err
		}
		return attach(ctx, options, details, attached, true)
	}
	first, heard, err := launch(options)
	if err != nil {
		return err
	}
	defer first.Kill()
	plugged, err := dispense(first)
	if err != nil {
		return explain(err, heard)
	}
	session := &session{options: options, details: details, client: first, heard: heard, dispensed: plugged}
	if err := session.echo(ctx, 10); err != nil {
		return explain(err, heard)
	}
	attached := first.ReattachConfig()
	// As long as the first host is there, the plugin's broker is for it alone.
	if err := attach(ctx, options, details, attached, false); err != nil {
		return explain(err, heard)
	}
	if err := until(ctx, "the first client sees the exit", first.Exited); err != nil {
		return err
	}
	if alive(attached.Pid) {
		return fmt.Errorf("process %d is left", attached.Pid)
	}
	return nil
}

func attach(
	ctx context.Context, options options, details map[string]any, attached *plugin.ReattachConfig, alone bool,
) error {
	heard := &heard{}
	config := configure(heard)
	config.Plugins = plugin.PluginSet{interop.Name: hostPlugin{}}
	config.Reattach = attached
	client := plugin.NewClient(config)
	defer client.Kill()
	plugged, err := dispense(client)
	if err != nil {
		return err
	}
	session := &session{options: options, details: details, client: client, heard: heard, dispensed: plugged}
	if err := call(ctx, session); err != nil {
		return err
	}
	if err := ping(ctx, session); err != nil {
		return err
	}
	if !alone {
		return nil
	}
	if err := callback(ctx, session); err != nil {
		return err
	}
	return handed(ctx, session)
}

func parse(text string) (*plugin.ReattachConfig, error) {
	var printed struct {
		Protocol        string
		ProtocolVersion int
		Pid             int
		Test            bool
		Addr            struct{ Network, String string }
	}
	if err := json.Unmarshal([]byte(text), &printed); err != nil {
		return nil, err
	}
	var address net.Addr
	var err error
	switch printed.Addr.Network {
	case "unix":
		address, err = net.ResolveUnixAddr("unix", printed.Addr.String)
	case "tcp":
		address, err = net.ResolveTCPAddr("tcp", printed.Addr.String)
	default:
		err = fmt.Errorf("unknown network %q", printed.Addr.Network)
	}
	return &plugin.ReattachConfig{
		Protocol:        plugin.Protocol(printed.Protocol),
		ProtocolVersion: printed.ProtocolVersion,
		Pid:             printed.Pid,
		Test:            printed.Test,
		Addr:            address,
	}, err
}
