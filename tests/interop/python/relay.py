"""A relay against a registry's front, with grpcio: a second implementation of gRPC beside grpc-go.

Usage: relay.py <address> <file descriptor set> [<PEM file of the roots>]

Prints `ok` when every check held; otherwise fails with a traceback.
"""

import sys
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "aeroarc.registry.v1.AeroRegistry"
address, descriptors, *roots = sys.argv[1:]

pool = descriptor_pool.DescriptorPool()
with open(descriptors, "rb") as file:
    for proto in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
        pool.AddSerializedFile(proto.SerializeToString())


def message_class(descriptor):
    """Returns the class of a message, in old and new versions of the library."""
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


if roots:
    with open(roots[0], "rb") as file:
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()))
else:
    channel = grpc.insecure_channel(address)

stubs = {}
for method in pool.FindServiceByName(SERVICE).methods:
    request, answer = message_class(method.input_type), message_class(method.output_type)
    stub = channel.unary_unary(
        f"/{SERVICE}/{method.name}",
        request_serializer=request.SerializeToString,
        response_deserializer=answer.FromString,
    )
    stubs[method.name] = (stub, request)


def call(name, **fields):
    """Makes a call with a relay's usual timeout."""
    stub, request = stubs[name]
    return stub(request(**fields), timeout=5)


def refused(code, name, **fields):
    """Asserts that a call is refused with a code, and returns the text."""
    try:
        call(name, **fields)
    except grpc.RpcError as error:
        assert error.code() == code, (name, error)
        return error.details()
    raise AssertionError(f"{name} was not refused")


for relay_id in ("py-1", "py-2"):
    call("RegisterRelay", relay={"relay_id": relay_id, "address": "10.0.0.7", "grpc_port": -1})
call("RegisterAgent", agent={"agent_id": "py-a"}, relay_id="py-1")
call("RegisterAgent", agent={"agent_id": "py-a"}, relay_id="py-2")
assert call("GetAgentPlacement", agent_id="py-a").placement.relay_id == "py-2"
refused(grpc.StatusCode.NOT_FOUND, "HeartbeatAgent", agent_id="py-a", relay_id="py-1")
call("HeartbeatAgent", agent_id="py-a", relay_id="py-2")
assert [relay.relay_id for relay in call("ListRelays").relays if relay.relay_id.startswith("py-")] == [
    "py-1",
    "py-2",
]
assert refused(grpc.StatusCode.INVALID_ARGUMENT, "RegisterRelay") == "Relay is required"
refused(grpc.StatusCode.UNIMPLEMENTED, "GetConformanceSummary")
refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "GetAgentPlacement", agent_id="x" * 300_000)

faults = []


def work():
    """Makes calls as one of several threads."""
    try:
        for _ in range(50):
            assert call("GetAgentPlacement", agent_id="py-a").placement.relay_id == "py-2"
    except BaseException as error:  # pylint: disable=broad-except
        faults.append(error)


threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not faults, faults[0]
print("ok")
