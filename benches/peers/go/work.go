package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"trunkline/benches/peers/wire"
)

// The measured work, the same for every system in Go; benches/peers/work is the same in
// Rust. The child does it: it calls back into its parent.

// connection is a sub-channel, as the child has it.
type connection interface {
	grpc.ClientConnInterface
	io.Closer
}

// caller is how a child reaches its parent.
type caller interface {
	// dial opens a sub-channel that the parent has registered.
	dial(id uint64) (connection, error)
	kind() kind
}

type kind struct {
	// Whether sub-channels share what connects the processes. If not, each is a connection
	// of its own, and a small call beside a bulk transfer is one on the same connection.
	subChannels bool
	// Whether sub-channels may be opened at the same time.
	parallel bool
}

// subChannel is open, and has been used.
type subChannel struct {
	connection
	client wire.ParentClient
}

// opener opens sub-channels to the parent.
type opener struct {
	caller caller
	base   wire.ParentClient
}

// patience is how long an opened sub-channel may take to answer. Without it, one that is
// connected to nobody would be waited for without end.
const patience = 6 * time.Second

// errMisrouted is that a sub-channel is connected to what was registered for another.
var errMisrouted = errors.New("a sub-channel was answered on another")

// open opens one sub-channel and makes the first call on it.
func (o opener) open() (subChannel, error) {
	registered, err := o.base.Register(context.Background(), &wire.Count{SubChannels: 1})
	if err != nil {
		return subChannel{}, err
	}
	return openRegistered(o.caller, registered.SubChannels[0])
}

// openRegistered dials a sub-channel and makes the first call on it, which must be
// answered by the service that was registered for it.
func openRegistered(caller caller, registered *wire.SubChannel) (subChannel, error) {
	connection, err := caller.dial(registered.Id)
	if err != nil {
		return subChannel{}, err
	}
	opened := subChannel{connection: connection, client: wire.NewParentClient(connection)}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	identity, err := opened.client.Identify(ctx, payload())
	if err == nil && identity.Label != registered.Label {
		err = errMisrouted
	}
	if err != nil {
		_ = connection.Close()
		return subChannel{}, err
	}
	return opened, nil
}

var small [64]byte

// payload is what every small call carries, both ways.
func payload() *wire.Payload {
	return &wire.Payload{Data: small[:]}
}

// work does what the plan says, and reports it to the parent.
func work(caller caller, base connection, options options) error {
	opener := opener{caller: caller, base: wire.NewParentClient(base)}
	report, err := measure(opener, options)
	message := report.message()
	if err != nil {
		message = &wire.Figures{Failure: err.Error()}
	}
	_, err = opener.base.Report(context.Background(), message)
	return err
}

func measure(opener opener, options options) (figures, error) {
	switch options.plan.phase {
	case "cold":
		return firstCallback(opener, options.startedAt)
	case "speed":
		return speed(opener, options.plan)
	case "idle":
		return idle(opener, options.plan)
	default:
		return figures{}, fmt.Errorf("there is no phase %q", options.plan.phase)
	}
}

func firstCallback(opener opener, startedAt int64) (figures, error) {
	report := newFigures()
	if _, err := opener.base.Echo(context.Background(), payload()); err != nil {
		return report, err
	}
	report.Metrics["cold_start_ms_p50"] = float64(monotonic()-startedAt) / 1e6
	return report, nil
}
