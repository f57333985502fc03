package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "registry.example/interop/gen/registryv1"
	"registry.example/interop/steady"
)

const (
	steadyRelay  = "steady"
	steadyAgents = 16
	steadyPause  = time.Second
)

// keepSteady keeps a relay and its agents alive by heartbeats alone, and asks where they are, while nodes
// and fronts may be killed. Nothing may expire: no heartbeat is told NOT_FOUND, and each agent is found.
func keepSteady(c *client) {
	must(c.registerRelay(steadyRelay) == nil, "the relay is refused")
	for number := range steadyAgents {
		err := c.registerAgent(steadyAgent(number), steadyRelay)
		must(err == nil, "the agent is refused: %v", err)
	}
	fmt.Println("registered")
	run := steady.Start(time.Duration(c.seconds) * time.Second)
	run.Keep("heartbeats of the relay", steadyPause, func(ctx context.Context) error {
		_, err := c.aero.HeartbeatRelay(ctx, &pb.HeartbeatRelayRequest{RelayId: steadyRelay})
		return outcome(err)
	})
	for number := range steadyAgents {
		agent := steadyAgent(number)
		run.Keep("heartbeats of agents", steadyPause, func(ctx context.Context) error {
			request := &pb.HeartbeatAgentRequest{AgentId: agent, RelayId: steadyRelay}
			_, err := c.aero.HeartbeatAgent(ctx, request)
			return outcome(err)
		})
		run.Keep("placements", steadyPause, func(ctx context.Context) error {
			request := &pb.GetAgentPlacementRequest{AgentId: agent}
			answer, err := c.aero.GetAgentPlacement(ctx, request)
			if holder := answer.GetPlacement().GetRelayId(); err == nil && holder != steadyRelay {
				return fmt.Errorf("%s is at %q", agent, holder)
			}
			return outcome(err)
		})
	}
	err := run.End()
	must(err == nil, "%v", err)
}

// outcome returns what a call came to: while it is away, a server is unavailable or late.
func outcome(err error) error {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		return steady.NotServed{Reason: err.Error()}
	}
	return err
}

func steadyAgent(number int) string {
	return fmt.Sprintf("steady-%d", number)
}
