// A gateway, its agents and a proxy of the Maps protocol against a registry's front, as other projects write
// them: with grpc-go and code generated from the protos of this project. It runs the checks that its
// arguments name and says which held.
//
//	maps <address> [-ca file] [-cert file -key file] [-pin hex] [-seconds n] <check>...
package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	pb "registry.example/interop/gen/maps"
)

// client is a connection and its stub.
type client struct {
	maps    pb.MapsClient
	seconds int
}

var checks = map[string]func(*client){
	"session":      session,
	"refusals":     refusals,
	"steady":       keepSteady,
	"register":     register,
	"unauthorized": unauthorized,
	"unreachable":  unreachable,
}

func main() {
	ca := flag.String("ca", "", "PEM file of the roots; without it and a pin plain text")
	cert := flag.String("cert", "", "PEM file of the client's certificate")
	key := flag.String("key", "", "PEM file of its key")
	pin := flag.String("pin", "", "SHA-256 of the server's certificate, instead of roots")
	seconds := flag.Int("seconds", 10, "how long the check steady takes")
	address := os.Args[1]
	flag.CommandLine.Parse(os.Args[2:])
	transport := insecure.NewCredentials()
	if *ca != "" || *pin != "" {
		transport = tlsCredentials(*ca, *cert, *key, *pin)
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport))
	must(err == nil, "connect: %v", err)
	defer conn.Close()
	c := &client{maps: pb.NewMapsClient(conn), seconds: *seconds}
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
	check, known := checks[name]
	must(known, "there is no check of this name")
	check(c)
	fmt.Printf("ok %s\n", name)
	return true
}

func tlsCredentials(ca, cert, key, pin string) credentials.TransportCredentials {
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if ca != "" {
		roots, err := os.ReadFile(ca)
		must(err == nil, "%v", err)
		config.RootCAs = x509.NewCertPool()
		must(config.RootCAs.AppendCertsFromPEM(roots), "%s has no certificate", ca)
	}
	if pin != "" {
		// As these clients do it: the hash of the certificate takes the place of its chain.
		config.InsecureSkipVerify = true
		config.VerifyPeerCertificate = func(raw [][]byte, _ [][]*x509.Certificate) error {
			sum := sha256.Sum256(raw[0])
			if hex.EncodeToString(sum[:]) == pin {
				return nil
			}
			return errors.New("the server has another certificate")
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		must(err == nil, "%v", err)
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config)
}

// timed returns a context of a client's usual timeout.
func timed() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 5*time.Second)
}

// must panics with a message unless a condition holds.
func must(holds bool, format string, args ...any) {
	if !holds {
		panic(fmt.Sprintf(format, args...))
	}
}
