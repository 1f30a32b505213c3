// Daemon uses a volume driver by the code that Docker's daemon uses it by.
//
//	daemon PLUGIN STEP...
//
// Each step is a JSON object, and has a line of JSON on the standard output.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/moby/moby/v2/daemon/volume"
	"github.com/moby/moby/v2/daemon/volume/drivers"
	"github.com/moby/moby/v2/pkg/plugingetter"
	"github.com/moby/moby/v2/pkg/plugins"
)

// getter finds plugins of the first version alone, as a daemon does that has no others.
type getter struct{}

func (getter) Get(name, capability string, _ int) (plugingetter.CompatPlugin, error) {
	return plugins.Get(name, capability)
}

func (getter) GetAllByCap(string) ([]plugingetter.CompatPlugin, error) { return nil, nil }

func (getter) GetAllManagedPluginsByCap(string) []plugingetter.CompatPlugin { return nil }

func (getter) Handle(capability string, callback func(string, *plugins.Client)) {
	plugins.Handle(capability, callback)
}

// step is what is to be done with a volume.
type step struct {
	// Do is scope, create, get, list, mount, unmount, path or remove.
	Do       string
	Name, ID string
	Opts     map[string]string
}

// told is what comes of it.
type told struct {
	Text    string         `json:",omitempty"`
	Names   []string       `json:",omitempty"`
	Created *time.Time     `json:",omitempty"`
	Status  map[string]any `json:",omitempty"`
	Error   string         `json:",omitempty"`
}

func main() {
	driver, err := drivers.NewStore(getter{}).GetDriver(os.Args[1])
	if err != nil {
		fail(err)
	}
	output := json.NewEncoder(os.Stdout)
	for _, arg := range os.Args[2:] {
		var s step
		if err := json.Unmarshal([]byte(arg), &s); err != nil {
			fail(fmt.Errorf("%s: %w", arg, err))
		}
		t, err := do(driver, &s)
		if err != nil {
			t.Error = err.Error()
		}
		if err := output.Encode(t); err != nil {
			fail(err)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "daemon:", err)
	os.Exit(1)
}

func do(driver volume.Driver, s *step) (told, error) {
	switch s.Do {
	case "scope":
		return told{Text: driver.Scope()}, nil
	case "create":
		v, err := driver.Create(s.Name, s.Opts)
		if err != nil {
			return told{}, err
		}
		return told{Text: v.Name()}, nil
	case "list":
		volumes, err := driver.List()
		var names []string
		for _, v := range volumes {
			names = append(names, v.Name())
		}
		return told{Names: names}, err
	}
	v, err := driver.Get(s.Name)
	if err != nil {
		return told{}, err
	}
	switch s.Do {
	case "get":
		created, err := v.CreatedAt()
		return told{Text: v.Name(), Created: &created, Status: v.Status()}, err
	case "path":
		return told{Text: v.Path()}, nil
	case "mount":
		mountpoint, err := v.Mount(s.ID)
		return told{Text: mountpoint}, err
	case "unmount":
		return told{}, v.Unmount(s.ID)
	case "remove":
		return told{}, driver.Remove(v)
	}
	fail(fmt.Errorf("not understood: %q", s.Do))
	return told{}, nil
}
