// A program that registers, resolves and watches by crs.v1.Registry, as other projects write it: with grpc-go
// and code generated from the protos of this project. It runs the checks that its arguments name and says
// which held.
//
//	registry <address> <check>...
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "registry.example/interop/gen/crsv1"
)

// client is a connection and its stub.
type client struct {
	conn     *grpc.ClientConn
	registry pb.RegistryClient
}

var checks = map[string]func(*client){
	"lifecycle": lifecycle,
	"refusals":  refusals,
	"lists":     lists,
	"watch":     watch,
	"cancel":    cancellation,
	"deadline":  deadline,
	"unread":    unread,
	"many":      manyWatches,
	"governed":  governed,
}

func main() {
	c := dial(os.Args[1])
	defer c.conn.Close()
	failed := false
	for _, name := range os.Args[2:] {
		if !c.run(name) {
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// dial returns a client of an address.
func dial(address string, options ...grpc.DialOption) *client {
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient(address, options...)
	must(err == nil, "connect: %v", err)
	return &client{conn: conn, registry: pb.NewRegistryClient(conn)}
}

// run runs a check and prints its outcome.
func (c *client) run(name string) (held bool) {
	defer func() {
		if fault := recover(); fault != nil {
			fmt.Printf("FAIL %s: %v\n", name, fault)
			held = false
		}
	}()
	check, known := checks[name]
	must(known, "there is no check of this name")
	check(c)
	fmt.Printf("ok %s\n", name)
	return true
}

// timed returns a context of a caller's usual timeout.
func timed() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 10*time.Second)
}

// must panics with a message unless a condition holds.
func must(holds bool, format string, args ...any) {
	if !holds {
		panic(fmt.Sprintf(format, args...))
	}
}
