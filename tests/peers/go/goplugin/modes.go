package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"
	"golang.org/x/sys/unix"
)

// The fields of a handshake line.
const (
	core = iota
	app
	network
	address
	protocol
	certificate
	multiplex
)

// flood is a line of usual length.
var flood = strings.Repeat("flood ", 21) + "\n"

// before says what happens instead of the plugin, or before it.
var before = map[string]func(*plugin.ServeConfig){
	"exit-3":        func(*plugin.ServeConfig) { os.Exit(3) },
	"exit-0":        func(*plugin.ServeConfig) { os.Exit(0) },
	"panic":         func(*plugin.ServeConfig) { panic("before the handshake") },
	"hang":          func(*plugin.ServeConfig) { select {} },
	"stop":          func(*plugin.ServeConfig) { _ = unix.Kill(os.Getpid(), unix.SIGSTOP) },
	"close-stdout":  func(*plugin.ServeConfig) { fd1.Close(); select {} },
	"stray-line":    func(*plugin.ServeConfig) { fmt.Fprintln(fd1, "Hello, I am a plugin") },
	"empty-line":    func(*plugin.ServeConfig) { fmt.Fprintln(fd1) },
	"half-a-line":   func(*plugin.ServeConfig) { fmt.Fprint(fd1, "1|1|uni"); select {} },
	"half-and-exit": func(*plugin.ServeConfig) { fmt.Fprint(fd1, "1|1|uni"); os.Exit(0) },
	"binary":        func(*plugin.ServeConfig) { _, _ = fd1.Write([]byte{0xff, 0xfe, 0, '\n'}); select {} },
	"endless-line":  func(*plugin.ServeConfig) { forEver(fd1, "x") },
	"flood-stderr":  func(*plugin.ServeConfig) { forEver(fd2, flood) },
	"netrpc":        func(*plugin.ServeConfig) { fmt.Fprintln(fd1, "1|1|unix|/nowhere/plugin1|netrpc"); select {} },
	"four-fields":   func(*plugin.ServeConfig) { fmt.Fprintln(fd1, "1|1|unix|/nowhere/plugin1"); select {} },
	"three-fields":  func(*plugin.ServeConfig) { fmt.Fprintln(fd1, "1|1|unix"); select {} },
	"no-listener":   func(*plugin.ServeConfig) { fmt.Fprintln(fd1, "1|1|unix|/nowhere/plugin1|grpc|"); select {} },
	"log-types":     func(*plugin.ServeConfig) { fmt.Fprintln(fd2, `{"@message":1,"@level":[],"@timestamp":{}}`) },
	"log-nanos": func(*plugin.ServeConfig) {
		fmt.Fprintln(fd2, `{"@message":"nanos","@level":"info","@timestamp":"2026-01-02T03:04:05.123456789Z"}`)
	},
	"log-long":   func(*plugin.ServeConfig) { fmt.Fprintln(fd2, strings.Repeat("long ", 40_000)) },
	"log-binary": func(*plugin.ServeConfig) { _, _ = fd2.Write([]byte{'a', 0xff, 0, 'b', '\n'}) },
	"log-prefixes": func(*plugin.ServeConfig) {
		fmt.Fprint(fd2, "[TRACE] t\n[DEBUG] d\n[INFO] i\n[WARN] w\r\n[ERROR] e\nplain\n")
	},
	"log-no-newline": func(*plugin.ServeConfig) { fmt.Fprint(fd2, "no newline at the end"); os.Exit(0) },
	// Only the first version.
	"old-version": func(config *plugin.ServeConfig) { delete(config.VersionedPlugins, 2) },
	// Versions that no host here has.
	"other-versions": func(config *plugin.ServeConfig) {
		config.VersionedPlugins = map[int]plugin.PluginSet{
			7: config.VersionedPlugins[1], 8: config.VersionedPlugins[2],
		}
	},
}

// rewrite says what becomes of the handshake line of a plugin that serves.
var rewrite = map[string]func(line []string) []string{
	"six-fields":      func(line []string) []string { return line[:certificate+1] },
	"five-fields":     func(line []string) []string { return line[:protocol+1] },
	"extra-fields":    func(line []string) []string { return append(padded(line), "", "later") },
	"mux-false":       func(line []string) []string { return with(line, multiplex, "false") },
	"mux-nonsense":    func(line []string) []string { return with(line, multiplex, "perhaps") },
	"core-2":          func(line []string) []string { return with(line, core, "2") },
	"core-nonsense":   func(line []string) []string { return with(line, core, "one") },
	"app-9":           func(line []string) []string { return with(line, app, "9") },
	"app-nonsense":    func(line []string) []string { return with(line, app, "two") },
	"unknown-network": func(line []string) []string { return with(line, network, "carrier-pigeon") },
	"bad-certificate": func(line []string) []string { return with(line, certificate, strings.Repeat("!", 80)) },
	"odd-certificate": func(line []string) []string {
		return with(line, certificate, base64.RawStdEncoding.EncodeToString(make([]byte, 600)))
	},
	"cut-certificate": func(line []string) []string { return with(line, certificate, line[certificate][:400]) },
	"no-certificate":  func(line []string) []string { return with(line, certificate, "") },
	"surrounded":      func(line []string) []string { line[0] = "  " + line[0]; return append(line[:certificate], " \r") },
	"tcp":             overTCP,
}

// after says what happens as soon as the handshake line is out.
var after = map[string]func(){
	"long-stdout":  func() { fmt.Fprintln(fd1, strings.Repeat("x", 200_000)); fmt.Fprintln(fd1, "after") },
	"flood-stdout": func() { forEver(fd1, flood) },
	"flood-stdio":  func() { time.Sleep(100 * time.Millisecond); forEver(os.Stdout, flood) },
	"exit-after":   func() { os.Exit(4) },
	"stop-after":   func() { _ = unix.Kill(os.Getpid(), unix.SIGSTOP) },
}

// misbehave prepares the mode; the empty one is to behave.
func misbehave(mode string, config *plugin.ServeConfig) {
	if mode == "" {
		return
	}
	if early, known := before[mode]; known {
		early(config)
		return
	}
	if mode == "six-fields" || mode == "mux-false" {
		// It cannot multiplex, so it does not.
		_ = os.Unsetenv("PLUGIN_MULTIPLEX_GRPC")
	}
	change, rewrites := rewrite[mode]
	then, follows := after[mode]
	if !rewrites && !follows {
		fmt.Fprintln(fd2, "no such mode:", mode)
		os.Exit(64)
	}
	// What go-plugin prints its line to; afterwards it puts pipes of its own there.
	read, write, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	os.Stdout = write
	go func() {
		line, err := bufio.NewReader(read).ReadString('\n')
		if err != nil {
			panic(err)
		}
		fields := strings.Split(strings.TrimSpace(line), "|")
		if rewrites {
			fields = change(fields)
		}
		fmt.Fprintln(fd1, strings.Join(fields, "|"))
		if follows {
			then()
		}
	}()
}

// padded has all seven fields.
func padded(line []string) []string {
	for len(line) <= multiplex {
		line = append(line, "")
	}
	return line
}

func with(line []string, field int, value string) []string {
	if field == multiplex {
		line = padded(line)
	}
	line[field] = value
	return line
}

// overTCP stands in front of the plugin, which itself only listens on TCP on Windows.
func overTCP(line []string) []string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	behind := line[address]
	go func() {
		for {
			front, err := listener.Accept()
			if err != nil {
				return
			}
			back, err := net.Dial("unix", behind)
			if err != nil {
				front.Close()
				continue
			}
			go pass(front, back)
			go pass(back, front)
		}
	}()
	line[network] = "tcp"
	line[address] = listener.Addr().String()
	return line
}

func pass(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
}

func forEver(output *os.File, text string) {
	block := []byte(strings.Repeat(text, 4096/len(text)))
	for {
		if _, err := output.Write(block); err != nil {
			return
		}
	}
}
