package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"

	pb "registry.example/interop/gen/registryv1"
)

// wanted panics unless an error has a code.
func wanted(code codes.Code, err error, what string) {
	must(status.Code(err) == code, "%s: want %v, got %v", what, code, err)
}

func (c *client) registerRelay(id string) error {
	ctx, cancel := c.context()
	defer cancel()
	relay := &pb.Relay{RelayId: id, Address: "10.0.0.5", GrpcPort: 50052}
	_, err := c.aero.RegisterRelay(ctx, &pb.RegisterRelayRequest{Relay: relay})
	return err
}

func (c *client) registerAgent(agent, relay string) error {
	ctx, cancel := c.context()
	defer cancel()
	request := &pb.RegisterAgentRequest{Agent: &pb.Agent{AgentId: agent}, RelayId: relay}
	_, err := c.aero.RegisterAgent(ctx, request)
	return err
}

func (c *client) heartbeatRelay(relay string) error {
	ctx, cancel := c.context()
	defer cancel()
	// The time of the client must not count.
	request := &pb.HeartbeatRelayRequest{RelayId: relay, TimestampUnixMs: 1}
	_, err := c.aero.HeartbeatRelay(ctx, request)
	return err
}

func (c *client) heartbeatAgent(agent, relay string) error {
	ctx, cancel := c.context()
	defer cancel()
	_, err := c.aero.HeartbeatAgent(ctx, &pb.HeartbeatAgentRequest{AgentId: agent, RelayId: relay})
	return err
}

// holder returns the relay that holds an agent.
func (c *client) holder(agent string) (string, error) {
	ctx, cancel := c.context()
	defer cancel()
	answer, err := c.aero.GetAgentPlacement(ctx, &pb.GetAgentPlacementRequest{AgentId: agent})
	return answer.GetPlacement().GetRelayId(), err
}

// lifecycle registers relays and an agent, moves the agent, and asks for all of them.
func lifecycle(c *client) {
	for _, id := range []string{"life-2", "life-1"} {
		wanted(codes.OK, c.registerRelay(id), "register a relay")
	}
	wanted(codes.OK, c.registerAgent("life-a", "life-1"), "register an agent")
	holder, err := c.holder("life-a")
	must(holder == "life-1", "the agent is at %q: %v", holder, err)
	wanted(codes.OK, c.heartbeatAgent("life-a", "life-1"), "renew an agent")
	wanted(codes.OK, c.registerAgent("life-a", "life-2"), "take an agent over")
	holder, _ = c.holder("life-a")
	must(holder == "life-2", "after the takeover the agent is at %q", holder)
	wanted(codes.NotFound, c.heartbeatAgent("life-a", "life-1"), "a heartbeat of the old relay")
	wanted(codes.OK, c.heartbeatAgent("life-a", "life-2"), "a heartbeat of the new relay")
	wanted(codes.OK, c.heartbeatRelay("life-1"), "renew a relay")

	ctx, cancel := c.context()
	defer cancel()
	relays, err := c.aero.ListRelays(ctx, &pb.ListRelaysRequest{})
	wanted(codes.OK, err, "list relays")
	var ids []string
	for _, relay := range relays.GetRelays() {
		if strings.HasPrefix(relay.GetRelayId(), "life-") {
			ids = append(ids, relay.GetRelayId())
			age := time.Since(time.UnixMilli(relay.GetLastHeartbeatUnixMs()))
			must(age > -time.Minute && age < time.Minute, "the last heartbeat was %v ago", age)
			must(relay.GetGrpcPort() == 50052, "the port is %d", relay.GetGrpcPort())
		}
	}
	must(strings.Join(ids, " ") == "life-1 life-2", "the relays are %v", ids)
	agents, err := c.aero.ListAgents(ctx, &pb.ListAgentsRequest{})
	wanted(codes.OK, err, "list agents")
	must(len(agents.GetAgents()) > 0, "there are no agents")
}

// refusals sends what must be refused, and reads the details.
func refusals(c *client) {
	ctx, cancel := c.context()
	defer cancel()
	_, err := c.aero.RegisterRelay(ctx, &pb.RegisterRelayRequest{})
	wanted(codes.InvalidArgument, err, "no relay")
	must(status.Convert(err).Message() == "Relay is required", "the text is %v", err)
	_, err = c.holder("nobody")
	wanted(codes.NotFound, err, "an unknown agent")
	must(status.Convert(err).Message() == "agent not registered: not found", "the text is %v", err)
	var info *errdetails.ErrorInfo
	for _, detail := range status.Convert(err).Details() {
		if found, isInfo := detail.(*errdetails.ErrorInfo); isInfo {
			info = found
		}
	}
	must(info.GetReason() == "NOT_FOUND", "the details are %v", status.Convert(err).Details())
	_, err = c.aero.GetConformanceSummary(ctx, &pb.GetConformanceSummaryRequest{})
	wanted(codes.Unimplemented, err, "conformance")
	err = c.conn.Invoke(ctx, "/no.Such/Method", &pb.ListRelaysRequest{}, &pb.ListRelaysResponse{})
	wanted(codes.Unimplemented, err, "an unknown method")
}

// expiry needs a front with a short ttl: relays and agents end, and agents end with their relay.
func expiry(c *client) {
	wanted(codes.OK, c.registerRelay("short"), "register a relay")
	wanted(codes.OK, c.registerAgent("short-a", "short"), "register an agent")
	end := time.Now().Add(30 * time.Second)
	for {
		_, err := c.holder("short-a")
		if status.Code(err) == codes.NotFound {
			break
		}
		must(time.Now().Before(end), "the agent does not end: %v", err)
		time.Sleep(20 * time.Millisecond)
	}
	eventually("the relay ends", func() bool {
		ctx, cancel := c.context()
		defer cancel()
		relays, err := c.aero.ListRelays(ctx, &pb.ListRelaysRequest{})
		return err == nil && len(relays.GetRelays()) == 0
	})
	wanted(codes.NotFound, c.heartbeatRelay("short"), "renew an ended relay")
	wanted(codes.OK, c.registerRelay("short"), "register it again")
	_, err := c.holder("short-a")
	wanted(codes.NotFound, err, "an agent of the former incarnation")
}

// cancellation opens many streams and leaves them.
func cancellation(c *client) {
	health := grpc_health_v1.NewHealthClient(c.conn)
	var leaving sync.WaitGroup
	for range 500 {
		leaving.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			stream, err := health.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			must(err == nil, "watch: %v", err)
			cancel()
			_, err = stream.Recv()
			wanted(codes.Canceled, err, "a stream that was left")
		})
	}
	leaving.Wait()
	_, err := c.holder("nobody")
	wanted(codes.NotFound, err, "a call after them")
}

// deadline lets calls end by their deadlines.
func deadline(c *client) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	stream, err := grpc_health_v1.NewHealthClient(c.conn).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	must(err == nil, "watch: %v", err)
	for err == nil {
		_, err = stream.Recv()
	}
	wanted(codes.DeadlineExceeded, err, "a stream with a deadline")
}

// load makes many calls at once; each must be answered rightly.
func load(c *client) {
	wanted(codes.OK, c.registerRelay("load"), "register a relay")
	var calls sync.WaitGroup
	var wrong atomic.Int64
	for worker := range 64 {
		calls.Go(func() {
			agent := fmt.Sprintf("load-%d", worker)
			for range 10 {
				if c.registerAgent(agent, "load") != nil || c.heartbeatAgent(agent, "load") != nil {
					wrong.Add(1)
				}
				if holder, err := c.holder(agent); err != nil || holder != "load" {
					wrong.Add(1)
				}
			}
		})
	}
	calls.Wait()
	must(wrong.Load() == 0, "%d calls failed", wrong.Load())
}

// limits sends messages and metadata that are too large; the connection goes on.
func limits(c *client) {
	_, err := c.holder(strings.Repeat("x", 300*1024))
	wanted(codes.ResourceExhausted, err, "a request of 300 KiB")
	_, err = c.holder(strings.Repeat("x", 200*1024))
	wanted(codes.InvalidArgument, err, "an id of 200 KiB")
	_, err = c.holder("nobody")
	wanted(codes.NotFound, err, "a call after them")
}

func healthChecks(c *client) {
	health := grpc_health_v1.NewHealthClient(c.conn)
	ctx, cancel := c.context()
	defer cancel()
	for _, service := range []string{"", "aeroarc.registry.v1.AeroRegistry"} {
		answer, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
		serving := answer.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING
		must(serving, "the health of %q is %v: %v", service, answer.GetStatus(), err)
	}
	_, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "x"})
	wanted(codes.NotFound, err, "an unknown service")
	list, err := health.List(ctx, &grpc_health_v1.HealthListRequest{})
	must(err == nil && len(list.GetStatuses()) > 1, "the list is %v: %v", list, err)
}

// reflection asks for the services by both versions of the protocol.
func reflection(c *client) {
	ctx, cancel := c.context()
	defer cancel()
	stream, err := grpc_reflection_v1.NewServerReflectionClient(c.conn).ServerReflectionInfo(ctx)
	must(err == nil, "v1: %v", err)
	list := &grpc_reflection_v1.ServerReflectionRequest_ListServices{}
	err = stream.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: list})
	must(err == nil, "v1: %v", err)
	answer, err := stream.Recv()
	count := len(answer.GetListServicesResponse().GetService())
	must(err == nil && count >= 4, "v1 lists %d services: %v", count, err)
	old, err := grpc_reflection_v1alpha.NewServerReflectionClient(c.conn).ServerReflectionInfo(ctx)
	must(err == nil, "v1alpha: %v", err)
	oldList := &grpc_reflection_v1alpha.ServerReflectionRequest_ListServices{}
	err = old.Send(&grpc_reflection_v1alpha.ServerReflectionRequest{MessageRequest: oldList})
	must(err == nil, "v1alpha: %v", err)
	oldAnswer, err := old.Recv()
	oldCount := len(oldAnswer.GetListServicesResponse().GetService())
	must(err == nil && oldCount == count, "v1alpha lists %d services: %v", oldCount, err)
}

// keepAlive leaves the connection silent until grpc-go has sent pings; it must not have been closed.
func keepAlive(c *client) {
	_, err := c.holder("nobody")
	wanted(codes.NotFound, err, "a call before")
	ctx, cancel := context.WithTimeout(context.Background(), 13*time.Second)
	defer cancel()
	isChanged := c.conn.WaitForStateChange(ctx, connectivity.Ready)
	must(!isChanged, "the connection was closed while it was silent")
	_, err = c.holder("nobody")
	wanted(codes.NotFound, err, "a call after")
}

// heartbeats renews as a relay does, registers again where it is told NOT_FOUND, and says what happens. It
// ends when it was lost and is back.
func heartbeats(c *client) {
	renew := func() error {
		err := c.heartbeatRelay("beat")
		if status.Code(err) == codes.NotFound {
			if err = c.registerRelay("beat"); err == nil {
				err = c.registerAgent("beat-a", "beat")
			}
		}
		return err
	}
	must(renew() == nil, "register")
	fmt.Println("registered")
	eventually("the front is lost", func() bool {
		err := renew()
		must(err == nil || status.Code(err) == codes.Unavailable || status.Code(err) == codes.DeadlineExceeded,
			"while it is lost: %v", err)
		return err != nil
	})
	fmt.Println("lost")
	eventually("the front is back", func() bool { return renew() == nil })
	holder, err := c.holder("beat-a")
	must(holder == "beat", "the agent is at %q: %v", holder, err)
}

// register registers a relay, and no more.
func register(c *client) {
	wanted(codes.OK, c.registerRelay("plain"), "register a relay")
}

// refused must not be served, for having no identity or one without the right.
func refused(c *client) {
	err := c.registerRelay("refused")
	code := status.Code(err)
	must(code == codes.Unauthenticated || code == codes.PermissionDenied, "a stranger: %v", err)
}

// unreachable must not get as far as a call.
func unreachable(c *client) {
	wanted(codes.Unavailable, c.registerRelay("unreachable"), "register a relay")
}

// eventually polls until a condition holds.
func eventually(what string, holds func() bool) {
	end := time.Now().Add(60 * time.Second)
	for !holds() {
		must(time.Now().Before(end), "not within a minute: %s", what)
		time.Sleep(20 * time.Millisecond)
	}
}
