"""A caller of crs.v1.Registry with grpcio: a second implementation of gRPC beside grpc-go.

Usage: registry.py <address> <file descriptor set>

Prints `ok` when every check held; otherwise fails with a traceback.
"""

import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "crs.v1.Registry"
ID = "0192f0c0-0000-7000-8000-0000000000c1"
address, descriptors = sys.argv[1:]

pool = descriptor_pool.DescriptorPool()
with open(descriptors, "rb") as file:
    for proto in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
        pool.AddSerializedFile(proto.SerializeToString())


def message_class(descriptor):
    """Returns the class of a message, in old and new versions of the library."""
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


channel = grpc.insecure_channel(address)
methods = pool.FindServiceByName(SERVICE).methods_by_name


def call(name, is_stream=False, **fields):
    """Makes a call with a usual timeout."""
    method = methods[name]
    request, answer = message_class(method.input_type), message_class(method.output_type)
    kind = channel.unary_stream if is_stream else channel.unary_unary
    stub = kind(
        f"/{SERVICE}/{name}",
        request_serializer=request.SerializeToString,
        response_deserializer=answer.FromString,
    )
    return stub(request(**fields), timeout=10)


watch = call("Watch", is_stream=True, ids=[ID])
for response in watch:
    if response.WhichOneof("event") == "begun":
        break
registration = call("RegisterAgent", agent={"id": ID, "domain": "py.example"}).registration
assert registration.created
for response in watch:
    if response.WhichOneof("event") == "change":
        assert response.change.record.agent.domain == "py.example"
        break
watch.cancel()
assert call("WhoAmI").role == "development"
resolved = call("ResolveAgent", domain="py.example", max_staleness_ms=500).resolved
assert resolved.agent.id == ID and len(resolved.receipts) > 0
pages = list(call("ListAgents", is_stream=True, page_size=1))
assert [listed.agent.id for page in pages for listed in page.agents] == [ID]
try:
    call("GetAgent", id="no id")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
else:
    raise AssertionError("a bad id was not refused")
print("ok")
