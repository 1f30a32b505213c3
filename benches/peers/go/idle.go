package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"trunkline/benches/peers/wire"
)

// settle is how long both processes are left alone before their memory is read.
const settle = 300 * time.Millisecond

// idleBatch is how many sub-channels are registered at once.
const idleBatch = 50

// idle is what each of many idle sub-channels occupies, in both processes.
func idle(opener opener, plan plan) (figures, error) {
	report := newFigures()
	if err := firstUse(opener); err != nil {
		return report, err
	}
	before, err := both(opener)
	if err != nil {
		return report, err
	}
	held, stopped := grow(opener, plan.idle, time.Now().Add(plan.idleTime))
	number := len(held)
	if number < plan.idle {
		if stopped == nil {
			stopped = errors.New("no time was left")
		}
		report.note("idle at %d sub-channels, not %d: %v", number, plan.idle, stopped)
	}
	if number == 0 {
		return report, errors.New("no sub-channel could be opened")
	}
	after, err := both(opener)
	if err != nil {
		return report, err
	}
	if before.ResidentKib > 0 {
		grown := float64(after.ResidentKib) - float64(before.ResidentKib)
		report.Metrics["idle_kib_per_channel"] = grown / float64(number)
	}
	if before.Descriptors > 0 {
		gained := float64(after.Descriptors) - float64(before.Descriptors)
		report.Metrics["idle_fds"] = gained / float64(number) * 10_000
	}
	for _, opened := range held {
		_ = opened.Close()
	}
	return report, nil
}

// firstUse makes everything that is made when the first sub-channels are opened.
func firstUse(opener opener) error {
	for range openers {
		opened, err := opener.open()
		if err != nil {
			return err
		}
		if err := opened.Close(); err != nil {
			return err
		}
	}
	return nil
}

// grow opens sub-channels, each with one call made on it, until there are so many, or
// until the time is over. It returns those that it has, and what stopped it.
func grow(opener opener, number int, until time.Time) ([]subChannel, error) {
	var held []subChannel
	for len(held) < number && time.Now().Before(until) {
		wanted := min(idleBatch, number-len(held))
		if !opener.caller.kind().parallel {
			wanted = 1
		}
		count := &wire.Count{SubChannels: uint32(wanted)}
		registered, err := opener.base.Register(context.Background(), count)
		if err != nil {
			return held, err
		}
		opened, err := openTogether(opener.caller, registered.SubChannels)
		held = append(held, opened...)
		if err != nil {
			return held, err
		}
	}
	return held, nil
}

func openTogether(caller caller, registered []*wire.SubChannel) ([]subChannel, error) {
	opened := make([]subChannel, len(registered))
	var group errgroup.Group
	group.SetLimit(openers)
	for at, one := range registered {
		group.Go(func() error {
			var err error
			opened[at], err = openRegistered(caller, one)
			return err
		})
	}
	err := group.Wait()
	var held []subChannel
	for _, one := range opened {
		if one.connection != nil {
			held = append(held, one)
		}
	}
	return held, err
}

// both is what both processes occupy, when they have come to rest.
func both(opener opener) (*wire.Resources, error) {
	time.Sleep(settle)
	parent, err := opener.base.Usage(context.Background(), &wire.Moment{AtRest: true})
	if err != nil {
		return nil, err
	}
	own := usage(true)
	return &wire.Resources{
		ResidentKib: parent.ResidentKib + own.ResidentKib,
		Descriptors: parent.Descriptors + own.Descriptors,
	}, nil
}
