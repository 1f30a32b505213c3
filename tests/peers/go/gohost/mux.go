//go:build !nomux

package main

import "github.com/hashicorp/go-plugin"

func multiplex(config *plugin.ClientConfig) error {
	config.GRPCBrokerMultiplex = true
	return nil
}
