package main

import (
	"context"
	"fmt"
	"time"

	pb "registry.example/interop/gen/maps"
	"registry.example/interop/steady"
)

const (
	steadyAgents = 8
	steadyPause  = 100 * time.Millisecond
)

// keepSteady keeps a gateway and its agents registered, and a proxy resolving them, while nodes and fronts
// may be killed. What was answered is never forgotten: once an agent is registered, it resolves.
func keepSteady(c *client) {
	gateway := c.registerGateway(gatewayAt("192.0.2.50", 8))
	must(gateway.Error == nil, "the gateway is refused: %v", gateway.Error)
	for number := range steadyAgents {
		answer := c.registerAgent(steadyDomain(number), gateway.GatewayId, hash)
		must(answer.Error == nil, "the agent is refused: %v", answer.Error)
	}
	fmt.Println("registered")
	run := steady.Start(time.Duration(c.seconds) * time.Second)
	run.Keep("registrations", steadyPause, func(ctx context.Context) error {
		answer, err := c.maps.RegisterGateway(ctx, gatewayAt("192.0.2.50", 8))
		return outcome(answer.GetError(), err)
	})
	for number := range steadyAgents {
		domain := steadyDomain(number)
		run.Keep("registrations", steadyPause, func(ctx context.Context) error {
			answer, err := c.maps.RegisterAgent(ctx, &pb.AgentConnectionRequest{
				AgentDomain: domain, VerifiableCredHash: hash, GatewayId: gateway.GatewayId,
			})
			return outcome(answer.GetError(), err)
		})
		run.Keep("resolutions", steadyPause, func(ctx context.Context) error {
			answer, err := c.maps.ResolveGatewayForProxy(ctx, &pb.ProxyMapping{AgentDomain: domain})
			if err == nil && answer.Error == nil && answer.GatewayId != gateway.GatewayId {
				return fmt.Errorf("%s resolves to %v", domain, answer)
			}
			return outcome(answer.GetError(), err)
		})
	}
	err := run.End()
	must(err == nil, "%v", err)
}

// outcome returns what a call of Maps came to, whose errors come in its answer.
func outcome(refusal *pb.Error, err error) error {
	switch {
	case err != nil || refusal.GetCode() == pb.ErrorCode_ERROR_CODE_UNAVAILABLE:
		return steady.NotServed{Reason: fmt.Sprint(err, refusal.GetMessage())}
	case refusal != nil:
		return fmt.Errorf("%v", refusal)
	}
	return nil
}

func steadyDomain(number int) string {
	return fmt.Sprintf("steady-%d.example", number)
}
