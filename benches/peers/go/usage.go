package main

import (
	"errors"
	"fmt"
	"io"
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

// rollup and folder stay open: when descriptors have run out they can still be read.
var (
	rollup, _ = os.Open("/proc/self/smaps_rollup")
	folder, _ = os.Open("/proc/self/fd")
)

func residentKiB() uint64 {
	text := make([]byte, 4096)
	length, err := rollup.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0
	}
	for line := range strings.Lines(string(text[:length])) {
		var kib uint64
		if _, err := fmt.Sscanf(line, "Rss: %d kB", &kib); err == nil {
			return kib
		}
	}
	return 0
}

func descriptors() uint64 {
	if _, err := folder.Seek(0, io.SeekStart); err != nil {
		return 0
	}
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return 0
	}
	return uint64(len(names))
}
