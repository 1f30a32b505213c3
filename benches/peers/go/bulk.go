package main

import (
	"context"
	"fmt"
	"time"

	"trunkline/benches/peers/wire"
)

// message is what each message of a stream carries, in bytes: with the four that protobuf
// puts before them it is 32 KiB, which is what pools of buffers have in store.
const message = 32*1024 - 4

// bulk is megabytes (10^6) a second of a transfer of so many MiB.
func bulk(client wire.ParentClient, mib int) (float64, error) {
	if _, err := sendMiB(client, (mib+7)/8); err != nil {
		return 0, err
	}
	return sendMiB(client, mib)
}

func sendMiB(client wire.ParentClient, mib int) (float64, error) {
	left := mib << 20 / message
	return send(client, func() bool {
		left--
		return left >= 0
	})
}

// send sends one message after the other while there is more, checks that all came, and
// says how many megabytes a second that were.
func send(client wire.ParentClient, more func() bool) (float64, error) {
	payload := &wire.Payload{Data: make([]byte, message)}
	began := monotonic()
	stream, err := client.Bulk(context.Background())
	if err != nil {
		return 0, err
	}
	var sent uint64
	for more() {
		if err := stream.Send(payload); err != nil {
			return 0, err
		}
		sent++
	}
	received, err := stream.CloseAndRecv()
	if err != nil {
		return 0, err
	}
	seconds := float64(monotonic()-began) / 1e9
	if received.Messages != sent || received.Bytes != sent*message {
		return 0, fmt.Errorf("%d messages were sent, and %v arrived", sent, received)
	}
	return float64(received.Bytes) / 1e6 / seconds, nil
}

// beside makes small calls on one sub-channel while a bulk transfer runs on another, from
// its beginning to its end. Those of the warm-up do not count.
func beside(opener opener, plan plan, report *figures) error {
	small, err := opener.open()
	if err != nil {
		return err
	}
	defer small.Close()
	large := small
	if opener.caller.kind().subChannels {
		if large, err = opener.open(); err != nil {
			return err
		}
		defer large.Close()
	}
	type result struct {
		rate float64
		err  error
	}
	end := time.Now().Add(plan.warmUp() + plan.time)
	sent := make(chan result, 1)
	go func() {
		rate, err := send(large.client, func() bool { return time.Now().Before(end) })
		sent <- result{rate, err}
	}()
	if _, err := echoes(small.client, time.Now().Add(plan.warmUp())); err != nil {
		return err
	}
	took, err := echoes(small.client, end)
	if err != nil {
		return err
	}
	took.record(report, "small_during_bulk_us")
	transfer := <-sent
	report.Metrics["bulk_during_small_mb_s"] = transfer.rate
	return transfer.err
}
