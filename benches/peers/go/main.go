// The two processes of the systems in Go that Trunkline is compared with: a parent, which
// benches/peers starts, and its child, which does the measured calls. Run it as
// `cargo bench --bench peers`; benches/peers/main.rs has the rest.
package main

//go:generate sh -c "cd .. && go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate --template go/buf.gen.yaml peers.proto"

import (
	"encoding/json"
	"fmt"
	"os"
)

// launcher starts a child and returns what it reports.
type launcher func(system string, plan plan) (figures, error)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 2 {
		return fmt.Errorf("run me with `cargo bench --bench peers`")
	}
	role, system := arguments[0], arguments[1]
	options, err := parse(arguments[2:])
	if err != nil {
		return err
	}
	switch role {
	case "parent":
		go endWithTheFirstProcess()
		return parent(system, options.plan)
	case "child":
		return child(system, options)
	default:
		return fmt.Errorf("%q is neither parent nor child", role)
	}
}

// parent starts children and prints what they report.
func parent(system string, plan plan) error {
	var launch launcher
	switch system {
	case "grpcgo_direct":
		launch = launchDirect
	case "goplugin", "goplugin_mux", "goplugin_mtls":
		launch = launchPlugin
	case "grpctunnel":
		launch = launchTunnel
	default:
		return fmt.Errorf("%q is not in Go", system)
	}
	report, err := launchAll(launch, system, plan)
	if err != nil {
		return err
	}
	line, err := json.Marshal(report)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	return nil
}

func launchAll(launch launcher, system string, plan plan) (figures, error) {
	if plan.phase != "cold" {
		return launch(system, plan)
	}
	var starts latencies
	for range plan.starts {
		report, err := launch(system, plan)
		if err != nil {
			return figures{}, err
		}
		starts.push(int64(report.Metrics["cold_start_ms_p50"] * 1e6))
	}
	report := newFigures()
	report.Metrics["cold_start_ms_p50"] = starts.percentile(0.50) / 1e3
	return report, nil
}

func child(system string, options options) error {
	switch system {
	case "grpcgo_direct":
		return directChild(options)
	case "goplugin", "goplugin_mux", "goplugin_mtls":
		return pluginChild(system, options)
	case "grpctunnel":
		return tunnelChild(options)
	default:
		return fmt.Errorf("%q is not in Go", system)
	}
}
