package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/benches/peers/wire"
)

// openers open sub-channels at the same time.
const openers = 16

// batch is how many sub-channels are registered at once for them: few enough to be dialled
// within the 5 seconds after which go-plugin forgets them, also with mutual TLS.
const batch = 128

// openLatencies are from registering at the parent to the answer of the first call. The
// parent says how long registering took; the message that brings the id over does not
// count.
func openLatencies(opener opener, duration time.Duration) (latencies, error) {
	var took latencies
	until := time.Now().Add(duration)
	for time.Now().Before(until) {
		registered, err := opener.base.Register(context.Background(), &wire.Count{SubChannels: 1})
		if err != nil {
			return nil, err
		}
		began := monotonic()
		opened, err := openRegistered(opener.caller, registered.SubChannels[0])
		if err != nil {
			return nil, err
		}
		took.push(monotonic() - began + int64(registered.Nanoseconds))
		_ = opened.Close()
		if err := release(opener, registered); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// openRate is how many sub-channels a second are registered, dialled, called once and
// closed. Again the messages that bring ids over do not count.
func openRate(opener opener, duration time.Duration, report *figures) error {
	var opened, misrouted, failed int64
	var took time.Duration
	for took < duration {
		count := &wire.Count{SubChannels: batch}
		registered, err := opener.base.Register(context.Background(), count)
		if err != nil {
			return err
		}
		began := monotonic()
		result := openAll(opener.caller, registered.SubChannels)
		took += time.Duration(monotonic() - began + int64(registered.Nanoseconds))
		wrong := result.misrouted.Load() + result.failed.Load()
		opened += batch - wrong
		misrouted += result.misrouted.Load()
		failed += result.failed.Load()
		if opener.caller.kind().parallel && wrong > 0 {
			return result.err
		}
		if err := release(opener, registered); err != nil {
			return err
		}
	}
	if failed+misrouted > 0 {
		report.note(
			"of %d sub-channels that were opened in parallel, %d were answered by the service of another, and %d by nobody",
			opened+misrouted+failed, misrouted, failed,
		)
	}
	report.Metrics["opens_per_s_16"] = float64(opened) / took.Seconds()
	return nil
}

// result says how often opening went wrong, and how for one of them.
type result struct {
	misrouted, failed atomic.Int64
	once              sync.Once
	err               error
}

func openAll(caller caller, registered []*wire.SubChannel) *result {
	var next atomic.Int64
	var group sync.WaitGroup
	var result result
	for range openers {
		group.Go(func() {
			for {
				at := int(next.Add(1)) - 1
				if at >= len(registered) {
					return
				}
				opened, err := openRegistered(caller, registered[at])
				switch {
				case err == nil:
					_ = opened.Close()
				case errors.Is(err, errMisrouted):
					result.misrouted.Add(1)
				default:
					result.failed.Add(1)
				}
				if err != nil {
					result.once.Do(func() { result.err = err })
				}
			}
		})
	}
	group.Wait()
	return &result
}

func release(opener opener, registered *wire.Registered) error {
	ids := &wire.Ids{}
	for _, subChannel := range registered.SubChannels {
		ids.Ids = append(ids.Ids, subChannel.Id)
	}
	_, err := opener.base.Release(context.Background(), ids)
	return err
}
