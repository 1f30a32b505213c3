// The host: drives one plugin with the real go-plugin through one scenario, and prints
// what it saw as one JSON object. It ends with 0 if the scenario held, with 1 and the
// reason on standard error if not.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// launched is the plugin's process, as soon as it is known.
var launched atomic.Int64

// options are what the command line says.
type options struct {
	plugin    string
	arguments []string
	scenario  string
	mtls      bool
	mux       bool
	versions  []int
	count     int
	how       string
	reattach  string
	timeout   time.Duration
}

// result is what is printed. Details depend on the scenario.
type result struct {
	Scenario string         `json:"scenario"`
	Held     bool           `json:"held"`
	Reason   string         `json:"reason,omitempty"`
	Seconds  float64        `json:"seconds"`
	Details  map[string]any `json:"details"`
}

var scenarios = map[string]func(context.Context, options, map[string]any) error{
	"call":       withPlugin(call),
	"callback":   withPlugin(callback),
	"handed":     withPlugin(handed),
	"streaming":  withPlugin(streaming),
	"many":       withPlugin(many),
	"sequential": withPlugin(sequential),
	"big":        withPlugin(big),
	"ping":       withPlugin(ping),
	"versions":   withPlugin(versions),
	"reflection": withPlugin(reflection),
	"env":        withPlugin(environment),
	"sigint":     withPlugin(sigint),
	"stdio":      withPlugin(stdio),
	"logs":       withPlugin(logLines),
	"kill":       withPlugin(kill),
	"crash":      withPlugin(crash),
	"reattach":   reattach,
}

func main() {
	var options options
	var offered string
	flag.StringVar(&options.plugin, "plugin", "", "path of the plugin; arguments for it after --")
	flag.StringVar(&options.scenario, "scenario", "call", "what to do")
	flag.BoolVar(&options.mtls, "mtls", false, "AutoMTLS")
	flag.BoolVar(&options.mux, "mux", false, "GRPCBrokerMultiplex")
	flag.StringVar(&offered, "versions", "1,2", "versions of the application that the host has")
	flag.IntVar(&options.count, "n", 200, "of many: how many each way")
	flag.StringVar(&options.how, "how", "exit:3", "of crash: exit:N, panic or kill; of env: the variable")
	flag.StringVar(&options.reattach, "reattach", "", "of reattach: attach to this, as TF_REATTACH_PROVIDERS has it")
	flag.DurationVar(&options.timeout, "timeout", 60*time.Second, "for all of it")
	flag.Parse()
	options.arguments = flag.Args()
	for text := range strings.SplitSeq(offered, ",") {
		version, err := strconv.Atoi(text)
		if err != nil {
			fail(err)
		}
		options.versions = append(options.versions, version)
	}
	run, known := scenarios[options.scenario]
	if !known {
		names := make([]string, 0, len(scenarios))
		for name := range scenarios {
			names = append(names, name)
		}
		slices.Sort(names)
		fail(fmt.Errorf("no such scenario; there are %s", strings.Join(names, ", ")))
	}

	ctx, cancel := context.WithTimeout(context.Background(), options.timeout)
	defer cancel()
	started := time.Now()
	details := map[string]any{}
	done := make(chan error, 1)
	go func() { done <- run(ctx, options, details) }()
	var err error
	select {
	case err = <-done:
	case <-time.After(options.timeout + 5*time.Second):
		err = fmt.Errorf("timed out after %s", options.timeout)
		details = nil // it may still be written
		// A plugin that is stopped would survive: go-plugin's Kill waits for its answer.
		if pid := launched.Load(); pid != 0 {
			_ = unix.Kill(int(pid), unix.SIGKILL)
		}
	}
	result := result{
		Scenario: options.scenario,
		Held:     err == nil,
		Seconds:  time.Since(started).Seconds(),
		Details:  details,
	}
	if err != nil {
		result.Reason = err.Error()
	}
	printed, failed := json.Marshal(result)
	if failed != nil {
		fail(failed)
	}
	fmt.Println(string(printed))
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "gohost:", err)
	os.Exit(1)
}
