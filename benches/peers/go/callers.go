package main

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"trunkline/benches/peers/wire"
)

type rate struct {
	callsPerSecond float64
	// Of both processes.
	cpuMicrosPerCall float64
}

// moment is what has been used up, in nanoseconds.
type moment struct {
	time, cpu, calls int64
}

// callers has one caller for each client, for as long as the plan says.
func callers(opener opener, clients []wire.ParentClient, plan plan) (rate, error) {
	var calls atomic.Int64
	var over atomic.Bool
	var group errgroup.Group
	for _, client := range clients {
		group.Go(func() error {
			for !over.Load() {
				if _, err := client.Echo(context.Background(), payload()); err != nil {
					return err
				}
				calls.Add(1)
			}
			return nil
		})
	}
	time.Sleep(plan.warmUp())
	before, err := now(opener, &calls)
	if err != nil {
		return rate{}, err
	}
	time.Sleep(plan.time)
	after, err := now(opener, &calls)
	if err != nil {
		return rate{}, err
	}
	over.Store(true)
	if err := group.Wait(); err != nil {
		return rate{}, err
	}
	made := float64(after.calls - before.calls)
	return rate{
		callsPerSecond:   made / (float64(after.time-before.time) / 1e9),
		cpuMicrosPerCall: float64(after.cpu-before.cpu) / 1e3 / made,
	}, nil
}

func now(opener opener, calls *atomic.Int64) (moment, error) {
	parent, err := opener.base.Usage(context.Background(), &wire.Moment{})
	if err != nil {
		return moment{}, err
	}
	cpu := cpu() + int64(parent.CpuNanoseconds)
	return moment{time: monotonic(), cpu: cpu, calls: calls.Load()}, nil
}
