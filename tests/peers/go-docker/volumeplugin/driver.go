package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/docker/go-plugins-helpers/volume"
)

const (
	// panics is a volume that is asked for in vain.
	panics = "panics"
	// slow is a volume that is waited for until there is the volume hurry.
	slow  = "slow"
	hurry = "hurry"
	// filler is the option that says how many bytes are in a volume's status.
	filler = "filler"
)

type driver struct {
	mu      sync.Mutex
	volumes map[string]*entry
	hurried chan struct{}
	// hurry closes hurried, if it is not closed.
	hurry func()
}

type entry struct {
	options map[string]string
	status  map[string]any
	// mounts has who has mounted it.
	mounts map[string]bool
}

func newDriver() *driver {
	hurried := make(chan struct{})
	return &driver{
		volumes: make(map[string]*entry),
		hurried: hurried,
		hurry:   sync.OnceFunc(func() { close(hurried) }),
	}
}

func mountpoint(name string) string {
	return filepath.Join("/srv/volumes", name)
}

// find is for who holds the lock.
func (d *driver) find(name string) (*entry, error) {
	if e, ok := d.volumes[name]; ok {
		return e, nil
	}
	return nil, fmt.Errorf("there is no volume %q", name)
}

func (e *entry) volume(name string) *volume.Volume {
	v := &volume.Volume{Name: name, CreatedAt: "2020-02-29T12:34:56Z", Status: e.status}
	if len(e.mounts) > 0 {
		v.Mountpoint = mountpoint(name)
	}
	return v
}

func (d *driver) Create(r *volume.CreateRequest) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Name == "" {
		return fmt.Errorf("a volume has a name")
	}
	if old, ok := d.volumes[r.Name]; ok && !maps.Equal(old.options, r.Options) {
		return fmt.Errorf("the volume %q is there with other options", r.Name)
	} else if ok {
		return nil
	}
	e := &entry{options: r.Options, mounts: make(map[string]bool)}
	if text, ok := r.Options[filler]; ok {
		bytes, err := strconv.Atoi(text)
		if err != nil || bytes < 0 {
			return fmt.Errorf("the option %s is no number of bytes: %q", filler, text)
		}
		e.status = map[string]any{filler: strings.Repeat("x", bytes)}
	}
	d.volumes[r.Name] = e
	if r.Name == hurry {
		d.hurry()
	}
	return nil
}

func (d *driver) List() (*volume.ListResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	response := &volume.ListResponse{}
	for _, name := range slices.Sorted(maps.Keys(d.volumes)) {
		response.Volumes = append(response.Volumes, d.volumes[name].volume(name))
	}
	return response, nil
}

func (d *driver) Get(r *volume.GetRequest) (*volume.GetResponse, error) {
	switch r.Name {
	case panics:
		panic("on purpose")
	case slow:
		fmt.Println("waiting")
		<-d.hurried
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e, err := d.find(r.Name)
	if err != nil {
		return nil, err
	}
	return &volume.GetResponse{Volume: e.volume(r.Name)}, nil
}

func (d *driver) Remove(r *volume.RemoveRequest) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, err := d.find(r.Name)
	if err != nil {
		return err
	}
	if len(e.mounts) > 0 {
		by := strings.Join(slices.Sorted(maps.Keys(e.mounts)), ", ")
		return fmt.Errorf("the volume %q is mounted by %s", r.Name, by)
	}
	delete(d.volumes, r.Name)
	return nil
}

func (d *driver) Path(r *volume.PathRequest) (*volume.PathResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, err := d.find(r.Name)
	if err != nil {
		return nil, err
	}
	if len(e.mounts) == 0 {
		return &volume.PathResponse{}, nil
	}
	return &volume.PathResponse{Mountpoint: mountpoint(r.Name)}, nil
}

func (d *driver) Mount(r *volume.MountRequest) (*volume.MountResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, err := d.find(r.Name)
	if err != nil {
		return nil, err
	}
	e.mounts[r.ID] = true
	return &volume.MountResponse{Mountpoint: mountpoint(r.Name)}, nil
}

func (d *driver) Unmount(r *volume.UnmountRequest) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, err := d.find(r.Name)
	if err != nil {
		return err
	}
	if !e.mounts[r.ID] {
		return fmt.Errorf("the volume %q is not mounted by %s", r.Name, r.ID)
	}
	delete(e.mounts, r.ID)
	return nil
}

func (d *driver) Capabilities() *volume.CapabilitiesResponse {
	return &volume.CapabilitiesResponse{Capabilities: volume.Capability{Scope: "global"}}
}
