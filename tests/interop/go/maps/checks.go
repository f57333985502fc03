package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "registry.example/interop/gen/maps"
)

const (
	hash  = "5d41402abc4b2a76b9719d911017c592ae2f6b1c9a4c7b3f1d2e3a4b5c6d7e8f"
	other = "00000000000000000000000000000000000000000000000000000000000000ff"
)

// idOf returns the id that the protocol gives to what a credential announces.
func idOf(credential, name string) string {
	sum := sha256.Sum256([]byte(credential + "|" + name))
	return hex.EncodeToString(sum[:])
}

func gatewayAt(ip string, cpu int32) *pb.GatewayPutRequest {
	return &pb.GatewayPutRequest{
		Region: "eu-1", GatewayIp: ip, GatewayPort: 8443, WssPort: 8444,
		Capacity:           &pb.Capacity{Cpu: cpu, Memory: 1024, Storage: 100, Bandwidth: 10},
		VerifiableCredHash: hash,
	}
}

func (c *client) registerGateway(request *pb.GatewayPutRequest) *pb.GatewayResponse {
	ctx, cancel := timed()
	defer cancel()
	answer, err := c.maps.RegisterGateway(ctx, request)
	must(err == nil, "RegisterGateway: %v", err)
	return answer
}

func (c *client) registerAgent(domain, gateway, credential string) *pb.AgentResponse {
	ctx, cancel := timed()
	defer cancel()
	answer, err := c.maps.RegisterAgent(ctx, &pb.AgentConnectionRequest{
		AgentDomain: domain, VerifiableCredHash: credential, GatewayId: gateway, Region: "eu-1",
	})
	must(err == nil, "RegisterAgent: %v", err)
	return answer
}

func (c *client) resolve(domain string) *pb.AgentResponse {
	ctx, cancel := timed()
	defer cancel()
	answer, err := c.maps.ResolveGatewayForProxy(ctx, &pb.ProxyMapping{AgentDomain: domain})
	must(err == nil, "ResolveGatewayForProxy: %v", err)
	return answer
}

func (c *client) offered(region string) *pb.MultipleGateways {
	ctx, cancel := timed()
	defer cancel()
	answer, err := c.maps.ResolveGatewayForAgent(ctx, &pb.GatewayHandshake{Region: region})
	must(err == nil, "ResolveGatewayForAgent: %v", err)
	return answer
}

// session is the life of a fleet: gateways, an agent that chooses one of them, a proxy that finds it.
func session(c *client) {
	small := c.registerGateway(gatewayAt("192.0.2.10", 1))
	must(small.Error == nil, "the gateway is refused: %v", small.Error)
	must(small.GatewayId == idOf(hash, "192.0.2.10"), "the id is %q", small.GatewayId)
	must(small.GatewayAddress == "192.0.2.10:8443", "the address is %q", small.GatewayAddress)
	must(small.Identity == hash && small.WssPort == 8444, "the gateway is %v", small)
	large := c.registerGateway(gatewayAt("2001:db8::7", 64))
	must(large.GatewayAddress == "[2001:db8::7]:8443", "the address is %q", large.GatewayAddress)

	found := c.offered("eu-1").Gateways
	must(len(found) == 2 && found[0].GatewayId == large.GatewayId, "the gateways are %v", found)
	agent := c.registerAgent("a1.example", found[0].GatewayId, hash)
	must(agent.Error == nil, "the agent is refused: %v", agent.Error)
	must(agent.AgentId == idOf(hash, "a1.example"), "the id is %q", agent.AgentId)
	resolved := c.resolve("a1.example")
	must(resolved.GatewayIp == "2001:db8::7" && resolved.GatewayPort == 8443 &&
		resolved.Identity == hash && resolved.Capacity.GetCpu() == 64, "it resolves to %v", resolved)

	// The agent moves by registering again.
	c.registerAgent("a1.example", small.GatewayId, hash)
	must(c.resolve("a1.example").GatewayIp == "192.0.2.10", "the agent did not move")
	// Without a region a gateway is in the region global.
	request := gatewayAt("192.0.2.11", 1)
	request.Region = ""
	c.registerGateway(request)
	global := c.offered("").Gateways
	must(len(global) == 1 && global[0].GatewayIp == "192.0.2.11", "the gateways are %v", global)
}

// refusals are in the answers: none has a status but OK.
func refusals(c *client) {
	coded := func(err *pb.Error, code pb.ErrorCode, text string) {
		must(err.GetCode() == code && strings.Contains(err.GetMessage(), text),
			"want %v %q, got %v", code, text, err)
	}
	const invalid = pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT
	const unauthorized = pb.ErrorCode_ERROR_CODE_UNAUTHORIZED
	const notFound = pb.ErrorCode_ERROR_CODE_NOT_FOUND
	coded(c.registerGateway(&pb.GatewayPutRequest{}).Error, invalid, "gateway_ip is required")
	coded(c.registerAgent("", "", "").Error, invalid, "agent_domain is required")
	coded(c.resolve("").Error, invalid, "agent_domain is required")
	coded(c.registerAgent("r1.example", idOf(hash, "nowhere"), hash).Error, notFound, "No gateway")
	coded(c.resolve("nobody.example").Error, notFound, "nobody.example")
	coded(c.offered("empty-1").Error, notFound, "empty-1")

	gateway := c.registerGateway(gatewayAt("192.0.2.20", 1))
	taken := gatewayAt("192.0.2.20", 1)
	taken.VerifiableCredHash = other
	coded(c.registerGateway(taken).Error, unauthorized, "credential")
	must(c.registerAgent("r2.example", gateway.GatewayId, hash).Error == nil, "the agent is refused")
	coded(c.registerAgent("r2.example", gateway.GatewayId, other).Error, unauthorized, "credential")
	must(c.resolve("r2.example").Identity == hash, "the agent has another identity")
}

// register registers one gateway.
func register(c *client) {
	answer := c.registerGateway(gatewayAt("192.0.2.30", 1))
	must(answer.Error == nil, "the gateway is refused: %v", answer.Error)
}

// unauthorized wants callers without rights to be refused, in the answer.
func unauthorized(c *client) {
	const code = pb.ErrorCode_ERROR_CODE_UNAUTHORIZED
	err := c.registerGateway(gatewayAt("192.0.2.40", 1)).Error
	must(err.GetCode() == code, "RegisterGateway answers %v", err)
	err = c.offered("eu-1").Error
	must(err.GetCode() == code, "ResolveGatewayForAgent answers %v", err)
}

// unreachable wants the connection to fail.
func unreachable(c *client) {
	ctx, cancel := timed()
	defer cancel()
	_, err := c.maps.ResolveGatewayForAgent(ctx, &pb.GatewayHandshake{})
	must(status.Code(err) == codes.Unavailable, "want Unavailable, got %v", err)
	fmt.Printf("  %v\n", err)
}
