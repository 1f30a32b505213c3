package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"

	"trunkline/benches/peers/wire"
)

// monotonic is the kernel's clock, the same for all processes, in nanoseconds.
func monotonic() int64 {
	return clock(unix.CLOCK_MONOTONIC)
}

// cpu is how long all threads of this process have run, in nanoseconds.
func cpu() int64 {
	return clock(unix.CLOCK_PROCESS_CPUTIME_ID)
}

func clock(id int32) int64 {
	var time unix.Timespec
	if err := unix.ClockGettime(id, &time); err != nil {
		return 0
	}
	return time.Nano()
}

// usage is what this process occupies. Memory and descriptors are 0 where there is no
// /proc. At rest, what the garbage collector has free is given back first.
func usage(atRest bool) *wire.Resources {
	if atRest {
		debug.FreeOSMemory()
	}
	return &wire.Resources{
		CpuNanoseconds: uint64(cpu()),
		ResidentKib:    residentKiB(),
		Descriptors:    descriptors(),
	}
}

func residentKiB() uint64 {
	rollup, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(rollup)) {
		var kib uint64
		if _, err := fmt.Sscanf(line, "Rss: %d kB", &kib); err == nil {
			return kib
		}
	}
	return 0
}

func descriptors() uint64 {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil || len(entries) == 0 {
		return 0
	}
	// One is the folder's own.
	return uint64(len(entries) - 1)
}
