// Client calls a plugin with the client of Docker's daemon, and tells what comes of it.
//
//	client STEP...
//
// Each step is a JSON object, and has a line of JSON on the standard output. The first says
// which plugin it is.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/moby/v2/pkg/plugins"
)

// step is what is to be done.
type step struct {
	// Do is find, connect, call, stream or send.
	Do string
	// Plugin and Implements are what find looks for.
	Plugin, Implements string
	// Address is where connect connects.
	Address string
	// Method is what is called.
	Method string
	// Body is what it is called with, if it is with anything.
	Body json.RawMessage
	// Times is how often it is called at once. Then # in the body is a number, from 0.
	Times int
	// Bytes is how many are sent, or are read of a stream if it is not to be read to its end.
	Bytes int64
}

// told is what comes of it.
type told struct {
	Answer     any      `json:",omitempty"`
	Implements []string `json:",omitempty"`
	Bytes      int64    `json:",omitempty"`
	Sum        uint32   `json:",omitempty"`
	Error      string   `json:",omitempty"`
	NotFound   bool     `json:",omitempty"`
	// NotImplemented is that the plugin is there, and is none of these.
	NotImplemented bool `json:",omitempty"`
}

func main() {
	session := &session{}
	output := json.NewEncoder(os.Stdout)
	for _, arg := range os.Args[1:] {
		var s step
		if err := json.Unmarshal([]byte(arg), &s); err != nil {
			fail(fmt.Errorf("%s: %w", arg, err))
		}
		for _, t := range session.do(&s) {
			if err := output.Encode(t); err != nil {
				fail(err)
			}
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "client:", err)
	os.Exit(1)
}

type session struct {
	client *plugins.Client
}

func (s *session) do(step *step) []told {
	switch step.Do {
	case "find":
		return []told{s.find(step)}
	case "connect":
		client, err := plugins.NewClient(step.Address, nil)
		s.client = client
		return []told{tell(told{}, err)}
	case "call":
		return s.callAll(step)
	case "stream":
		return []told{s.stream(step)}
	case "send":
		var answer any
		err := s.client.SendFile(step.Method, io.LimitReader(&pattern{}, step.Bytes), &answer)
		return []told{tell(told{Answer: answer}, err)}
	}
	fail(fmt.Errorf("not understood: %q", step.Do))
	return nil
}

func (s *session) find(step *step) told {
	plugin, err := plugins.Get(step.Plugin, step.Implements)
	if err != nil {
		return tell(told{}, err)
	}
	s.client = plugin.Client()
	return told{Implements: plugin.Manifest.Implements}
}

func (s *session) callAll(step *step) []told {
	all := make([]told, max(step.Times, 1))
	var group sync.WaitGroup
	for i := range all {
		body := string(step.Body)
		if step.Times > 0 {
			body = strings.ReplaceAll(body, "#", strconv.Itoa(i))
		}
		group.Go(func() {
			var args, answer any
			if body != "" {
				args = json.RawMessage(body)
			}
			err := s.client.Call(step.Method, args, &answer)
			all[i] = tell(told{Answer: answer}, err)
		})
	}
	group.Wait()
	return all
}

func (s *session) stream(step *step) told {
	body, err := s.client.Stream(step.Method, step.Body)
	if err != nil {
		return tell(told{}, err)
	}
	defer body.Close()
	sum := crc32.NewIEEE()
	var from io.Reader = body
	if step.Bytes > 0 {
		from = io.LimitReader(body, step.Bytes)
	}
	read, err := io.Copy(sum, from)
	return tell(told{Bytes: read, Sum: sum.Sum32()}, err)
}

func tell(t told, err error) told {
	if err != nil {
		t.Error = err.Error()
		t.NotFound = plugins.IsNotFound(err)
		t.NotImplemented = errors.Is(err, plugins.ErrNotImplements)
	}
	return t
}

// pattern is bytes of which each place has its own. It does not end.
type pattern struct {
	at int
}

func (p *pattern) Read(into []byte) (int, error) {
	for i := range into {
		into[i] = byte(p.at % 251)
		p.at++
	}
	return len(into), nil
}
