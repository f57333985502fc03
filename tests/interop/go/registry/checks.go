package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "registry.example/interop/gen/crsv1"
)

// id returns a UUID of a number.
func id(number int) string {
	return fmt.Sprintf("0192f0c0-0000-7000-8000-%012x", number)
}

// wanted panics unless an error has a code.
func wanted(code codes.Code, err error, what string) {
	must(status.Code(err) == code, "%s: want %v, got %v", what, code, err)
}

// register registers an agent and returns its registration.
func (c *client) register(number int, domain string) *pb.Registration {
	ctx, cancel := timed()
	defer cancel()
	agent := &pb.Agent{Id: id(number), Domain: domain, Address: "10.0.0.5", Port: 7000}
	answer, err := c.registry.RegisterAgent(ctx, &pb.RegisterAgentRequest{Agent: agent})
	wanted(codes.OK, err, "register")
	return answer.GetRegistration()
}

// lifecycle registers an agent, renews, resolves, takes over, and ends it.
func lifecycle(c *client) {
	ctx, cancel := timed()
	defer cancel()
	registration := c.register(1, "life.example")
	must(registration.GetCreated() && registration.GetRenewAfterMs() > 0, "it is %v", registration)
	item := &pb.RenewItem{
		Kind: pb.RecordKind_RECORD_KIND_AGENT, Id: id(1), Incarnation: registration.GetIncarnation(),
	}
	renewed, err := c.registry.Renew(ctx, &pb.RenewRequest{Items: []*pb.RenewItem{item}})
	must(err == nil && renewed.GetRenewed() == 1, "renewed %v: %v", renewed, err)
	staleness := uint32(500)
	resolved, err := c.registry.ResolveAgent(ctx, &pb.ResolveAgentRequest{
		Domain: "life.example", MaxStalenessMs: &staleness,
	})
	wanted(codes.OK, err, "resolve")
	must(resolved.GetResolved().GetAgent().GetId() == id(1), "it resolves to %v", resolved)
	must(len(resolved.GetResolved().GetReceipts()) > 0, "it has no receipts")
	many, err := c.registry.ResolveAgents(ctx, &pb.ResolveAgentsRequest{
		Domains: []string{"life.example", "nobody.example"},
	})
	wanted(codes.OK, err, "resolve many")
	outcomes := many.GetOutcomes()
	must(outcomes[0].GetResolved() != nil, "the first is %v", outcomes[0])
	wanted(codes.NotFound, status.ErrorProto(outcomes[1].GetError()), "the second")
	_, err = c.registry.DeregisterAgent(ctx, &pb.DeregisterAgentRequest{Id: id(1)})
	wanted(codes.OK, err, "deregister")
	_, err = c.registry.GetAgent(ctx, &pb.GetAgentRequest{Id: id(1)})
	wanted(codes.NotFound, err, "get what has ended")
}

// refusals sends what must be refused, and reads the details.
func refusals(c *client) {
	ctx, cancel := timed()
	defer cancel()
	_, err := c.registry.GetAgent(ctx, &pb.GetAgentRequest{Id: "no id"})
	wanted(codes.InvalidArgument, err, "an id that is none")
	info := infoOf(err)
	must(info.GetReason() == "INVALID_ARGUMENT" && info.GetDomain() != "", "the details are %v", info)
	_, err = c.registry.Renew(ctx, &pb.RenewRequest{})
	wanted(codes.InvalidArgument, err, "nothing to renew")
	err = c.conn.Invoke(ctx, "/crs.v1.Registry/None", &pb.RenewRequest{}, &pb.RenewResponse{})
	wanted(codes.Unimplemented, err, "an unknown method")
	must(infoOf(err).GetReason() == "UNIMPLEMENTED", "the details are %v", infoOf(err))
	stream, err := c.registry.Watch(ctx, &pb.WatchRequest{ResumeToken: "none"})
	must(err == nil, "watch: %v", err)
	_, err = stream.Recv()
	wanted(codes.InvalidArgument, err, "a token that is none")
}

func infoOf(err error) *errdetails.ErrorInfo {
	for _, detail := range status.Convert(err).Details() {
		if info, isInfo := detail.(*errdetails.ErrorInfo); isInfo {
			return info
		}
	}
	return nil
}

// lists reads a list whole, and in two calls.
func lists(c *client) {
	ctx, cancel := timed()
	defer cancel()
	var records []*pb.Record
	for number := 100; number < 150; number++ {
		agent := &pb.Agent{Id: id(number)}
		records = append(records, &pb.Record{Record: &pb.Record_Agent{Agent: agent}})
	}
	answer, err := c.registry.RegisterMany(ctx, &pb.RegisterManyRequest{Records: records})
	must(err == nil && len(answer.GetOutcomes()) == 50, "register many: %v", err)
	for _, outcome := range answer.GetOutcomes() {
		must(outcome.GetRegistration() != nil, "one was refused: %v", outcome)
	}
	all, _ := c.list(ctx, &pb.ListAgentsRequest{PageSize: 7})
	first, token := c.list(ctx, &pb.ListAgentsRequest{PageSize: 7, Limit: 20})
	rest, _ := c.list(ctx, &pb.ListAgentsRequest{PageToken: token})
	must(len(all) >= 50 && len(first) == 20, "lists of %d and %d", len(all), len(first))
	must(len(first)+len(rest) == len(all), "%d and %d are not %d", len(first), len(rest), len(all))
}

// list returns the ids of a list, and the token that continues it.
func (c *client) list(ctx context.Context, request *pb.ListAgentsRequest) (ids []string, token []byte) {
	stream, err := c.registry.ListAgents(ctx, request)
	must(err == nil, "list: %v", err)
	for {
		page, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return ids, token
		}
		wanted(codes.OK, err, "a page")
		must(request.GetPageSize() == 0 || len(page.GetAgents()) <= int(request.GetPageSize()), "a long page")
		for _, listed := range page.GetAgents() {
			ids = append(ids, listed.GetAgent().GetId())
		}
		token = page.GetNextPageToken()
	}
}

// next returns the next change of a watch.
func next(stream pb.Registry_WatchClient) *pb.WatchResponse {
	for {
		response, err := stream.Recv()
		wanted(codes.OK, err, "the next event")
		if response.GetChange() != nil {
			return response
		}
	}
}

// begun waits until a watch has begun.
func begun(stream pb.Registry_WatchClient) {
	for {
		response, err := stream.Recv()
		wanted(codes.OK, err, "the beginning of a watch")
		if response.GetBegun() != nil {
			return
		}
	}
}

// watch follows a change, leaves, and continues after it.
func watch(c *client) {
	ctx, cancel := timed()
	stream, err := c.registry.Watch(ctx, &pb.WatchRequest{Kind: pb.RecordKind_RECORD_KIND_AGENT})
	must(err == nil, "watch: %v", err)
	begun(stream)
	c.register(200, "watch.example")
	first := next(stream)
	must(first.GetChange().GetRecord().GetAgent().GetId() == id(200), "the change is %v", first)
	must(first.GetChange().GetType() == pb.ChangeType_CHANGE_TYPE_PUT, "the change is %v", first)
	must(first.GetReceipt().GetPosition().GetIndex() > 0, "the receipt is %v", first.GetReceipt())
	cancel()

	ctx, cancel = timed()
	defer cancel()
	_, err = c.registry.DeregisterAgent(ctx, &pb.DeregisterAgentRequest{Id: id(200)})
	wanted(codes.OK, err, "deregister")
	stream, err = c.registry.Watch(ctx, &pb.WatchRequest{
		Kind: pb.RecordKind_RECORD_KIND_AGENT, ResumeToken: first.GetResumeToken(), IncludeBefore: true,
	})
	must(err == nil, "watch: %v", err)
	for {
		// Agents of other checks may end meanwhile.
		change := next(stream).GetChange()
		if change.GetRecord().GetAgent().GetId() == id(200) {
			must(change.GetType() == pb.ChangeType_CHANGE_TYPE_DEREGISTERED, "the change is %v", change)
			return
		}
	}
}

// cancellation leaves lists during their first page, and watches before and after they begin.
func cancellation(c *client) {
	for number := range 100 {
		ctx, cancel := context.WithCancel(context.Background())
		list, err := c.registry.ListAgents(ctx, &pb.ListAgentsRequest{PageSize: 1})
		must(err == nil, "list: %v", err)
		stream, err := c.registry.Watch(ctx, &pb.WatchRequest{IncludeState: true})
		must(err == nil, "watch: %v", err)
		if number%2 == 0 {
			begun(stream)
		}
		cancel()
		for err == nil {
			_, err = stream.Recv()
		}
		wanted(codes.Canceled, err, "a watch that was left")
		for err = nil; err == nil; {
			_, err = list.Recv()
		}
		must(status.Code(err) == codes.Canceled || errors.Is(err, io.EOF), "a list that was left: %v", err)
	}
	c.register(300, "after.example")
}

// deadline lets a watch end by its deadline.
func deadline(c *client) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	stream, err := c.registry.Watch(ctx, &pb.WatchRequest{})
	for err == nil {
		_, err = stream.Recv()
	}
	wanted(codes.DeadlineExceeded, err, "a watch with a deadline")
}

// unread opens a watch that it never reads while many records change; others go on, and it is told. Its
// connection has a window that does not grow, as grpc-go would receive 16 MB for a stream that is not read.
func unread(c *client) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	small := dial(c.conn.Target(), grpc.WithInitialWindowSize(64*1024))
	defer small.conn.Close()
	stream, err := small.registry.Watch(ctx, &pb.WatchRequest{IncludeBefore: true})
	must(err == nil, "watch: %v", err)
	begun(stream)
	for round := range 10 {
		var records []*pb.Record
		for number := range 200 {
			agent := &pb.Agent{Id: id(1000 + number), Labels: map[string]string{"round": fmt.Sprint(round)}}
			records = append(records, &pb.Record{Record: &pb.Record_Agent{Agent: agent}})
		}
		_, err := c.registry.RegisterMany(ctx, &pb.RegisterManyRequest{Records: records})
		wanted(codes.OK, err, "register beside it")
	}
	time.Sleep(35 * time.Second)
	for err == nil {
		_, err = stream.Recv()
	}
	wanted(codes.ResourceExhausted, err, "a watch that was not read")
	c.register(301, "unread.example")
}

// manyWatches opens as many watches as one connection may have, and makes calls beside them.
func manyWatches(c *client) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// One connection has 256 calls at once, of which the caller keeps one.
	var streams []pb.Registry_WatchClient
	for number := range 255 {
		stream, err := c.registry.Watch(ctx, &pb.WatchRequest{Ids: []string{id(400)}})
		must(err == nil, "watch %d: %v", number, err)
		streams = append(streams, stream)
	}
	for _, stream := range streams {
		begun(stream)
	}
	c.register(400, "many.example")
	for _, stream := range streams {
		must(next(stream).GetChange().GetRecord().GetAgent().GetId() == id(400), "another change")
	}
}

// governed reads a registry that is not governed.
func governed(c *client) {
	ctx, cancel := timed()
	defer cancel()
	version, err := c.registry.GetRegistryVersion(ctx, &pb.GetRegistryVersionRequest{})
	must(err == nil && version.GetVersion() == 0, "the version is %v: %v", version, err)
	_, err = c.registry.GetDescriptor(ctx, &pb.GetDescriptorRequest{Id: "none"})
	wanted(codes.NotFound, err, "no descriptor")
	log, err := c.registry.ReadLog(ctx, &pb.ReadLogRequest{})
	must(err == nil, "log: %v", err)
	_, err = log.Recv()
	must(errors.Is(err, io.EOF), "the log has an entry: %v", err)
}
