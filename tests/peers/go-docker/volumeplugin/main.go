// Volumeplugin is a volume driver on Docker's own library for plugins, which keeps its
// volumes in memory.
//
//	volumeplugin unix SOCKET
//	volumeplugin tcp ADDRESS [CERT KEY CA]
//
// It says on its standard output where it listens, and ends when its standard input does.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"os"

	"github.com/docker/go-connections/sockets"
	"github.com/docker/go-connections/tlsconfig"
	"github.com/docker/go-plugins-helpers/volume"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "volumeplugin:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	listener, err := listen(args)
	if err != nil {
		return err
	}
	// The stack of a method that panics on purpose interests nobody.
	log.SetOutput(io.Discard)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println("listening", listener.Addr())
	return volume.NewHandler(newDriver()).Serve(listener)
}

// listen is what the library does itself, with which a socket cannot be without
// /run/docker/plugins, nor a port without a file in /etc.
func listen(args []string) (net.Listener, error) {
	switch {
	case len(args) == 2 && args[0] == "unix":
		return sockets.NewUnixSocketWithOpts(args[1], sockets.WithChmod(0o600))
	case len(args) == 2 && args[0] == "tcp":
		return sockets.NewTCPSocket(args[1], nil)
	case len(args) == 5 && args[0] == "tcp":
		config, err := tlsconfig.Server(tlsconfig.Options{
			CertFile:   args[2],
			KeyFile:    args[3],
			CAFile:     args[4],
			ClientAuth: tls.RequireAndVerifyClientCert,
		})
		if err != nil {
			return nil, err
		}
		return sockets.NewTCPSocket(args[1], config)
	}
	return nil, fmt.Errorf("not understood: %q", args)
}
