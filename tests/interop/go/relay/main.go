// A relay's program against a registry's front, as other projects write it: with grpc-go and code generated
// from the protos of this project. It runs the checks that its arguments name and says which held.
//
//	client <address> [-ca file] [-cert file -key file] [-token text] [-seconds n] <check>...
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	pb "registry.example/interop/gen/registryv1"
)

// client is a connection and the stubs that the checks use.
type client struct {
	address string
	conn    *grpc.ClientConn
	aero    pb.AeroRegistryClient
	token   string
	seconds int
}

// check is one check; it fails by a panic of a string, see must.
type check func(*client)

var checks = map[string]check{
	"lifecycle":   lifecycle,
	"refusals":    refusals,
	"expiry":      expiry,
	"cancel":      cancellation,
	"deadline":    deadline,
	"load":        load,
	"limits":      limits,
	"health":      healthChecks,
	"reflection":  reflection,
	"keepalive":   keepAlive,
	"heartbeats":  heartbeats,
	"register":    register,
	"refused":     refused,
	"unreachable": unreachable,
	"steady":      keepSteady,
}

func main() {
	ca := flag.String("ca", "", "PEM file of the roots; without it plain text")
	cert := flag.String("cert", "", "PEM file of the client's certificate")
	key := flag.String("key", "", "PEM file of its key")
	token := flag.String("token", "", "bearer token")
	tlsMax := flag.String("tls-max", "1.3", "newest version of TLS")
	seconds := flag.Int("seconds", 10, "how long the check steady takes")
	address := os.Args[1]
	flag.CommandLine.Parse(os.Args[2:])
	transport := insecure.NewCredentials()
	if *ca != "" {
		transport = tlsCredentials(*ca, *cert, *key, *tlsMax)
	}
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(transport),
		// The shortest time that grpc-go permits.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 10 * time.Second, Timeout: 2 * time.Second, PermitWithoutStream: true,
		}))
	must(err == nil, "connect: %v", err)
	defer conn.Close()
	c := &client{
		address: address,
		conn:    conn,
		aero:    pb.NewAeroRegistryClient(conn),
		token:   *token,
		seconds: *seconds,
	}
	failed := false
	for _, name := range flag.Args() {
		if !c.run(name) {
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// run runs a check and prints its outcome.
func (c *client) run(name string) (held bool) {
	defer func() {
		if fault := recover(); fault != nil {
			fmt.Printf("FAIL %s: %v\n", name, fault)
			held = false
		}
	}()
	run, known := checks[name]
	must(known, "there is no check of this name")
	run(c)
	fmt.Printf("ok %s\n", name)
	return true
}

// context returns a context of a relay's usual timeout, with the token if there is one.
func (c *client) context() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	if c.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.token)
	}
	return ctx, cancel
}

func tlsCredentials(ca, cert, key, tlsMax string) credentials.TransportCredentials {
	pem, err := os.ReadFile(ca)
	must(err == nil, "%v", err)
	roots := x509.NewCertPool()
	must(roots.AppendCertsFromPEM(pem), "%s has no certificate", ca)
	config := &tls.Config{RootCAs: roots}
	if tlsMax == "1.2" {
		config.MaxVersion = tls.VersionTLS12
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		must(err == nil, "%v", err)
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config)
}

// must panics with a message unless a condition holds.
func must(holds bool, format string, args ...any) {
	if !holds {
		panic(fmt.Sprintf(format, args...))
	}
}
