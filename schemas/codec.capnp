@0xd4b6a7f3c2e19058;
# Annotations understood by the generator of `schemas/gen`.

annotation bytes @0xe1f0a9b8c7d6e5f4 (group, field) :Void;
# On a group whose members are consecutive, word-aligned UInt64 fields: one fixed-size byte string,
# 8 bytes a member, in memory order. A UUID is such a group of two.
