package main

import (
	"flag"
	"fmt"
	"time"
)

// plan says how much of everything is measured: benches/peers/plan.rs decides.
type plan struct {
	phase      string
	time       time.Duration
	bulkMiB    int
	starts     int
	idle       int
	idleTime   time.Duration
	idleMillis int
	millis     int
}

// options are the plan, and what else a child is told.
type options struct {
	plan      plan
	sockets   string
	startedAt int64
}

func parse(arguments []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.StringVar(&o.plan.phase, "phase", "", "cold, speed or idle")
	flags.IntVar(&o.plan.millis, "millis", 0, "how long each rate and latency is measured")
	flags.IntVar(&o.plan.bulkMiB, "bulk-mib", 0, "what a bulk transfer moves")
	flags.IntVar(&o.plan.starts, "starts", 0, "children that are started")
	flags.IntVar(&o.plan.idle, "idle", 0, "sub-channels that are held open")
	flags.IntVar(&o.plan.idleMillis, "idle-millis", 0, "how long the opening of those may take")
	flags.StringVar(&o.sockets, "sockets", "", "the folder of sockets")
	flags.Int64Var(&o.startedAt, "started-at", 0, "when the child was started, by the monotonic clock")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	o.plan.time = time.Duration(o.plan.millis) * time.Millisecond
	o.plan.idleTime = time.Duration(o.plan.idleMillis) * time.Millisecond
	return o, nil
}

// warmUp is how long the same is done before it counts.
func (p plan) warmUp() time.Duration {
	return p.time / 4
}

// arguments are the command line of a child that is started now.
func (p plan) arguments(system string) []string {
	return []string{
		"child",
		system,
		fmt.Sprintf("--phase=%s", p.phase),
		fmt.Sprintf("--millis=%d", p.millis),
		fmt.Sprintf("--bulk-mib=%d", p.bulkMiB),
		fmt.Sprintf("--idle=%d", p.idle),
		fmt.Sprintf("--idle-millis=%d", p.idleMillis),
		fmt.Sprintf("--started-at=%d", monotonic()),
	}
}
