package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"trunkline/benches/peers/wire"
)

// speed measures everything of a pair that works: latencies, rates, bulk.
func speed(opener opener, plan plan) (figures, error) {
	report := newFigures()
	one, err := opener.open()
	if err != nil {
		return report, err
	}
	calls, err := warmEchoes(one.client, plan)
	if err != nil {
		return report, err
	}
	calls.record(&report, "seq_call_us")
	for _, number := range []int{1, 16, 64, 256} {
		rate, err := callers(opener, slices.Repeat([]wire.ParentClient{one.client}, number), plan)
		if err != nil {
			return report, err
		}
		report.Metrics[fmt.Sprintf("calls_per_s_%d", number)] = rate.callsPerSecond
		if number == 256 {
			report.Metrics["cpu_us_per_call_256"] = rate.cpuMicrosPerCall
		}
	}
	if err := manyByOne(opener, plan, &report); err != nil {
		return report, err
	}
	if report.Metrics["bulk_mb_s"], err = bulk(one.client, plan.bulkMiB); err != nil {
		return report, err
	}
	idle, err := echoes(one.client, time.Now().Add(plan.time))
	if err != nil {
		return report, err
	}
	report.Metrics["small_idle_us_p50"] = idle.percentile(0.50)
	report.Metrics["small_idle_us_p99"] = idle.percentile(0.99)
	if err := beside(opener, plan, &report); err != nil {
		return report, err
	}
	if _, err := openLatencies(opener, plan.warmUp()); err != nil {
		return report, err
	}
	opens, err := openLatencies(opener, plan.time)
	if err != nil {
		return report, err
	}
	opens.record(&report, "open_first_call_us")
	return report, openRate(opener, plan.time, &report)
}

// manyByOne has 64 sub-channels with one caller each.
func manyByOne(opener opener, plan plan, report *figures) error {
	var clients []wire.ParentClient
	for range 64 {
		opened, err := opener.open()
		if err != nil {
			return err
		}
		defer opened.Close()
		clients = append(clients, opened.client)
	}
	rate, err := callers(opener, clients, plan)
	report.Metrics["calls_per_s_64x1"] = rate.callsPerSecond
	return err
}

func warmEchoes(client wire.ParentClient, plan plan) (latencies, error) {
	if _, err := echoes(client, time.Now().Add(plan.warmUp())); err != nil {
		return nil, err
	}
	return echoes(client, time.Now().Add(plan.time))
}

// echoes is how long small calls take, one after the other.
func echoes(client wire.ParentClient, until time.Time) (latencies, error) {
	var took latencies
	for time.Now().Before(until) {
		began := monotonic()
		if _, err := client.Echo(context.Background(), payload()); err != nil {
			return nil, err
		}
		took.push(monotonic() - began)
	}
	return took, nil
}
