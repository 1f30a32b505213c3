package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"trunkline/benches/peers/wire"
)

// endWithTheFirstProcess kills the process group of a parent if the first process dies,
// however that comes about: standard input is a pipe that nobody writes to.
func endWithTheFirstProcess() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = syscall.Kill(0, syscall.SIGKILL)
}

// command is this program as a child.
func command(system string, plan plan, more ...string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command(program, append(plan.arguments(system), more...)...)
	command.Stderr = os.Stderr
	return command, nil
}

// await waits for the report of a child that was started, and for its end.
func await(child *exec.Cmd, reports <-chan *wire.Figures) (figures, error) {
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	select {
	case report := <-reports:
		<-ended
		return figuresOf(report)
	case err := <-ended:
		select {
		case report := <-reports:
			return figuresOf(report)
		default:
			return figures{}, fmt.Errorf("the child ended: %v", err)
		}
	}
}
