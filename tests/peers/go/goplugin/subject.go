package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"trunkline/tests/peers/interop"
	"trunkline/tests/peers/wire"
)

// subject does as it is told.
type subject struct {
	wire.UnimplementedSubjectServer
	version uint32
	logger  hclog.Logger
	broker  *plugin.GRPCBroker
}

func (s *subject) Echo(_ context.Context, payload *wire.Payload) (*wire.Payload, error) {
	return payload, nil
}

func (s *subject) Converse(stream wire.Subject_ConverseServer) error {
	for {
		payload, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(payload); err != nil {
			return err
		}
	}
}

// dial gives the host's Callback of this id, and how to hang up.
func (s *subject) dial(id uint32) (wire.CallbackClient, func(), error) {
	connection, err := s.broker.Dial(id)
	if err != nil {
		return nil, nil, fmt.Errorf("id %d: %w", id, err)
	}
	return wire.NewCallbackClient(connection), func() { connection.Close() }, nil
}

func (s *subject) CallBack(ctx context.Context, asked *wire.CallbackRequest) (*wire.Text, error) {
	callback, hangUp, err := s.dial(asked.ServiceId)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	return callback.Hear(ctx, &wire.Text{Text: asked.Text})
}

func (s *subject) StreamBack(ctx context.Context, asked *wire.StreamBackRequest) (*wire.Summary, error) {
	callback, hangUp, err := s.dial(asked.ServiceId)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	return interop.Converse(ctx, callback, int(asked.Messages), int(asked.BytesEach))
}

func (s *subject) BigBack(ctx context.Context, asked *wire.BigBackRequest) (*wire.Summary, error) {
	callback, hangUp, err := s.dial(asked.ServiceId)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	return interop.Big(ctx, callback, int(asked.Bytes))
}

func (s *subject) Hand(_ context.Context, asked *wire.HandRequest) (*wire.HandReply, error) {
	// It is served until the plugin ends.
	id, _, err := interop.Register(s.broker, &interop.Callback{Number: asked.Number})
	return &wire.HandReply{ServiceId: id}, err
}

func (s *subject) DialMany(ctx context.Context, asked *wire.DialManyRequest) (*wire.DialManyReply, error) {
	reply := &wire.DialManyReply{Numbers: make([]uint32, len(asked.ServiceIds))}
	var failures sync.Mutex
	var all sync.WaitGroup
	for at, id := range asked.ServiceIds {
		all.Add(1)
		go func() {
			defer all.Done()
			number, err := s.ask(ctx, id)
			reply.Numbers[at] = number
			if err != nil {
				failures.Lock()
				defer failures.Unlock()
				reply.Failures = append(reply.Failures, err.Error())
			}
		}()
	}
	all.Wait()
	return reply, nil
}

func (s *subject) ask(ctx context.Context, id uint32) (uint32, error) {
	callback, hangUp, err := s.dial(id)
	if err != nil {
		return 0, err
	}
	defer hangUp()
	number, err := callback.Declare(ctx, &wire.Nothing{})
	if err != nil {
		return 0, fmt.Errorf("id %d: %w", id, err)
	}
	return number.Number, nil
}

func (s *subject) Crash(_ context.Context, asked *wire.CrashRequest) (*wire.Nothing, error) {
	kind, code, _ := strings.Cut(asked.How, ":")
	switch kind {
	case "exit":
		code, err := strconv.Atoi(code)
		if err != nil {
			return nil, err
		}
		os.Exit(code)
	case "panic":
		// Not in this goroutine: nobody may recover from it.
		go panic("as asked")
		select {}
	case "kill":
		return nil, unix.Kill(os.Getpid(), unix.SIGKILL)
	case "stop":
		return &wire.Nothing{}, unix.Kill(os.Getpid(), unix.SIGSTOP)
	}
	return nil, status.Errorf(codes.InvalidArgument, "no such way: %s", asked.How)
}

func (s *subject) Say(_ context.Context, asked *wire.SayRequest) (*wire.Nothing, error) {
	outputs := map[wire.SayRequest_Output]*os.File{
		wire.SayRequest_STDOUT: os.Stdout,
		wire.SayRequest_STDERR: os.Stderr,
		wire.SayRequest_FD1:    fd1,
		wire.SayRequest_FD2:    fd2,
	}
	output, known := outputs[asked.Output]
	if !known {
		return nil, status.Errorf(codes.InvalidArgument, "no such output: %s", asked.Output)
	}
	_, err := output.Write(asked.Data)
	return &wire.Nothing{}, err
}

func (s *subject) LogLine(_ context.Context, asked *wire.LogRequest) (*wire.Nothing, error) {
	values := make([]any, 0, 2*len(asked.Values))
	for key, value := range asked.Values {
		values = append(values, key, value)
	}
	s.logger.Log(hclog.LevelFromString(asked.Level), asked.Message, values...)
	return &wire.Nothing{}, nil
}

func (s *subject) Env(_ context.Context, asked *wire.Text) (*wire.EnvReply, error) {
	value, set := os.LookupEnv(asked.Text)
	return &wire.EnvReply{Set: set, Value: value}, nil
}

func (s *subject) Version(context.Context, *wire.Nothing) (*wire.Number, error) {
	return &wire.Number{Number: s.version}, nil
}

func (s *subject) Hang(context.Context, *wire.Nothing) (*wire.Nothing, error) {
	select {}
}

func (s *subject) Spawn(context.Context, *wire.Nothing) (*wire.Number, error) {
	child := exec.Command("sleep", "1000")
	child.Stdout = fd1
	child.Stderr = fd2
	if err := child.Start(); err != nil {
		return nil, err
	}
	return &wire.Number{Number: uint32(child.Process.Pid)}, nil
}
