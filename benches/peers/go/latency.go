package main

import (
	"math"
	"slices"
)

// latencies are how long things took, in nanoseconds, in no order.
type latencies []int64

func (l *latencies) push(nanoseconds int64) {
	*l = append(*l, nanoseconds)
}

// percentile is the value that this part of all (0 to 1) does not exceed, in microseconds.
func (l latencies) percentile(part float64) float64 {
	if len(l) == 0 {
		return math.NaN()
	}
	slices.Sort(l)
	rank := int(math.Ceil(part * float64(len(l))))
	return float64(l[max(rank-1, 0)]) / 1000
}

// record sets <name>_p50 and <name>_p99.
func (l latencies) record(f *figures, name string) {
	f.Metrics[name+"_p50"] = l.percentile(0.50)
	f.Metrics[name+"_p99"] = l.percentile(0.99)
}
