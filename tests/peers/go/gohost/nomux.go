//go:build nomux

package main

import (
	"errors"

	"github.com/hashicorp/go-plugin"
)

func multiplex(*plugin.ClientConfig) error {
	return errors.New("this go-plugin is older than multiplexing")
}
