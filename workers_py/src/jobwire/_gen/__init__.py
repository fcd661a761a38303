# SPDX-License-Identifier: Apache-2.0
"""`jobwire gen`: typed clients and handlers from a FlatBuffers file with an `rpc_service`."""
