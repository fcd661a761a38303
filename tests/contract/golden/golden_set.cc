// SPDX-License-Identifier: Apache-2.0
#include "golden_set.h"

#include <flatbuffers/idl.h>
#include <flatbuffers/util.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

namespace jobwire::golden {
namespace {

std::unique_ptr<flatbuffers::Parser> parser_of(const std::string& folder, const char* file) {
  flatbuffers::IDLOptions options;
  options.strict_json = true;
  options.indent_step = -1;
  options.output_enum_identifiers = false;
  options.output_default_scalars_in_json = true;
  auto parser = std::make_unique<flatbuffers::Parser>(options);
  std::string schema;
  const char* include[] = {folder.c_str(), nullptr};
  if (!flatbuffers::LoadFile((folder + "/" + file).c_str(), false, &schema) ||
      !parser->Parse(schema.c_str(), include, file)) {
    std::fprintf(stderr, "%s/%s: %s\n", folder.c_str(), file, parser->error_.c_str());
    std::abort();
  }
  return parser;
}

Buffer build(flatbuffers::Parser& parser, const std::string& text) {
  if (!parser.Parse(text.c_str())) {
    std::fprintf(stderr, "%s\n%s\n", text.c_str(), parser.error_.c_str());
    std::abort();
  }
  return {parser.builder_.GetBufferPointer(),
          parser.builder_.GetBufferPointer() + parser.builder_.GetSize()};
}

std::string body(const char* kind, const std::string& fields) {
  return std::string("{\"body_type\": \"") + kind + "\", \"body\": {" + fields + "}}";
}

Buffer bytes(const std::string& text) { return {text.begin(), text.end()}; }

Buffer joined(Buffer first, const Buffer& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

const char* const kError =
    R"json({"type": "builtins.ValueError", "message": "no such größe", "retryable": true, "truncated": false,
        "frames": [{"file": "app.py", "line": 12, "function": "run", "source": "raise ValueError(x)"}],
        "chain": [{"relation": "Cause", "type": "builtins.KeyError", "message": "'x'", "frames": []}],
        "notes": ["row 7"]})json";

std::string job(int id, const std::string& rest) {
  return "{\"id\": " + id_text(id) + ", \"queue\": \"images\", \"type\": \"thumbnail\", " + rest +
         "}";
}

std::string result_head(int token, std::size_t offset, std::size_t size, const char* outcome,
                        const char* encoding) {
  return "{\"token\": " + id_text(token) + ", \"job\": " + id_text(token + 16) +
         ", \"payload_offset\": " + std::to_string(offset) +
         ", \"payload_size\": " + std::to_string(size) +
         ", \"run_us\": 1500, \"started_ms\": 1700000000000, \"retry_delay_ms\": 0, \"outcome\": "
         "\"" +
         outcome + "\", \"encoding\": \"" + encoding + "\"}";
}

std::string lease(int token, bool finished) {
  return "{\"token\": " + id_text(token) + ", \"job\": " + id_text(token + 16) +
         ", \"worker\": 3, \"started_ms\": 1700000000123, \"attempt\": 2, \"finished\": " +
         (finished ? "true" : "false") + "}";
}

void put_u32(Buffer& buffer, std::size_t at, std::uint32_t value) {
  std::memcpy(buffer.data() + at, &value, sizeof value);
}

std::uint32_t get_u32(const Buffer& buffer, std::size_t at) {
  std::uint32_t value;
  std::memcpy(&value, buffer.data() + at, sizeof value);
  return value;
}

// Where the body's table begins, found as a reader finds it.
std::size_t body_at(const Buffer& envelope) {
  const std::size_t root = get_u32(envelope, 0);
  const auto vtable = static_cast<std::size_t>(static_cast<std::int64_t>(root) -
                                               static_cast<std::int32_t>(get_u32(envelope, root)));
  // body has field id 1, its slot is the second after the two lengths.
  const std::size_t field = root + envelope[vtable + 6] + 256U * envelope[vtable + 7];
  return field + get_u32(envelope, field);
}

}  // namespace

std::string id_text(int first) {
  std::string text = "{\"bytes\": [";
  for (int i = 0; i < 16; ++i) text += (i ? ", " : "") + std::to_string((first + i) & 255);
  return text + "]}";
}

Schema::Schema(std::string folder) : folder_(std::move(folder)) {}

Buffer Schema::message(const std::string& text) const {
  return build(*parser_of(folder_, "message.fbs"), text);
}

Buffer Schema::error(const std::string& text) const {
  return build(*parser_of(folder_, "error.fbs"), text);
}

std::string Schema::text_of(const Buffer& envelope) const {
  const auto parser = parser_of(folder_, "message.fbs");
  std::string text;
  if (!flatbuffers::GenerateText(*parser, envelope.data(), &text)) std::abort();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::vector<Golden> golden_messages(const Schema& schema) {
  std::vector<Golden> set;
  const auto add = [&](const char* name, const char* from, const std::string& text,
                       Buffer blob = {}) {
    Golden golden{name, from, "", schema.message(text), std::move(blob)};
    golden.text = schema.text_of(golden.envelope);
    set.push_back(std::move(golden));
  };
  const Buffer error = schema.error(kError);

  add("hello_producer", "producer",
      body("Hello", R"("protocol": 1, "role": "Producer", "client": "thumbs/1.4", "pid": 7)"));
  add("hello_worker", "worker",
      body("Hello",
           "\"protocol\": 1, \"role\": \"Worker\", \"client\": \"jobwire-py/0.1\", \"host\": " +
               id_text(1) + ", \"host_name\": \"node-1\", \"worker\": 3, \"pid\": 4242"));
  add("hello_agent", "agent",
      body("Hello",
           "\"protocol\": 1, \"role\": \"Agent\", \"client\": \"jobwire-py/0.1\", \"host\": " +
               id_text(1) + ", \"host_name\": \"node-1\", \"pid\": 4241"));
  add("welcome", "broker",
      body(
          "Welcome",
          "\"protocol\": 1, \"broker\": " + id_text(200) +
              R"(, "epoch": 5, "session": 77, "durability": "Fsynced", "replicas": 0, "now_ms": 1700000000000,
                          "version": "0.1.0", "limits": {"max_payload_bytes": 33554432, "max_jobs_per_message": 1024,
                          "window_jobs": 16384, "window_bytes": 67108864, "max_name_bytes": 128, "max_error_bytes": 65536,
                          "max_message_bytes": 34603008, "session_timeout_ms": 30000, "heartbeat_ms": 2000,
                          "max_checkpoint_bytes": 65536})"));
  add("refused", "broker",
      body(
          "Refused",
          R"("code": "StoreUnavailable", "message": "Redis is away", "request": 9, "retry_after_ms": 500)"));
  add("goodbye", "producer", body("Goodbye", R"("message": "done")"));
  add("goodbye_broker", "broker", body("Goodbye", R"("code": "ShuttingDown", "message": "bye")"));
  add("heartbeat_producer", "producer", body("Heartbeat", R"("sequence": 12)"));
  add("heartbeat_broker", "broker", body("Heartbeat", R"("sequence": 12)"));
  add("heartbeat_agent", "agent",
      body("Heartbeat",
           "\"workers\": [3, 4], \"running\": [" + lease(40, false) + "], \"sequence\": 12"));

  add("submit", "producer",
      body(
          "Submit",
          "\"request\": 42, \"jobs\": [" +
              job(10, R"("payload_offset": 0, "payload_size": 5, "encoding": "Utf8")") + ", " +
              job(30,
                  R"("payload_offset": 5, "payload_size": 3, "encoding": "Bytes", "priority": 9, "timeout_ms": 30000,
                             "delay_ms": 5000, "not_before_ms": 1700000000000, "expires_at_ms": 1700000100000,
                             "result_ttl_ms": 60000, "dedup_key": "k", "dedup_window_ms": 1000, "contract": 99,
                             "watch": true, "keep_payload": true, "headers": [{"key": "trace", "value": "abc"}],
                             "retry": {"attempts": 7, "crashes": 2, "timeouts": 5, "backoff": "Listed", "base_ms": 10,
                             "cap_ms": 20, "factor": 3, "listed_ms": [1, 2], "no_jitter": true,
                             "fatal": ["ValueError", "app.Bad"]})") +
              "]"),
      bytes("hello123"));
  add("receipts", "broker",
      body("Receipts",
           "\"heads\": [{\"id\": " + id_text(10) + ", \"job\": " + id_text(10) +
               ", \"retry_after_ms\": 0, \"code\": 0, \"duplicate\": true, \"state\": \"Queued\"}, "
               "{\"id\": " +
               id_text(30) + ", \"job\": " + id_text(30) +
               R"(, "retry_after_ms": 250, "code": "QueueFull", "duplicate": false, "state": 0}],
                           "refusals": [{"index": 1, "message": "the queue is full", "field": "queue"}])"));
  add("result_request", "producer",
      body("ResultRequest",
           "\"request\": 43, \"ids\": [" + id_text(10) + ", " + id_text(30) + "], \"wait\": true"));
  add("result_push", "broker",
      body(
          "ResultPush",
          "\"request\": 43, \"results\": [{\"id\": " + id_text(10) +
              R"(, "payload_offset": 0, "payload_size": 2, "created_ms": 1, "started_ms": 2, "finished_ms": 3,
                             "run_us": 900, "attempts": 1, "known": "Final", "state": "Succeeded", "reason": 0,
                             "encoding": "Json", "pushed": true, "payload_is_error": false}, {"id": )" +
              id_text(30) +
              ", \"payload_offset\": 2, \"payload_size\": " + std::to_string(error.size()) +
              R"(, "created_ms": 1, "started_ms": 2, "finished_ms": 4, "run_us": 1000, "attempts": 4,
                             "known": "Final", "state": "Dead", "reason": "Raised", "encoding": 0, "pushed": false,
                             "payload_is_error": true}])"),
      joined(bytes("42"), error));
  add("result_push_waiting", "broker",
      body(
          "ResultPush",
          "\"request\": 45, \"results\": [{\"id\": " + id_text(10) +
              R"(, "payload_offset": 0, "payload_size": 0, "created_ms": 1, "started_ms": 0, "finished_ms": 0,
                  "run_us": 0, "attempts": 0, "known": "Waiting", "state": "Queued", "reason": 0,
                  "encoding": 0, "pushed": false, "payload_is_error": false}],
                  "obstacles": [{"index": 0, "message": "no worker that is here serves queue images"}])"));
  add("cancel", "producer",
      body("Cancel", "\"request\": 44, \"ids\": [" + id_text(10) + "], \"reason\": \"no longer\""));
  add("cancel_reply", "broker",
      body("CancelReply", "\"request\": 44, \"heads\": [{\"id\": " + id_text(10) +
                              R"(, "code": "AlreadyFinal", "state": "Succeeded"}])"));

  add("ready", "worker",
      body(
          "Ready",
          R"("queues": ["images", "mail"], "types": [{"name": "thumbnail", "contract": 99, "version": "2", "accepts": [97, 98]},
                    {"name": "send"}], "slots": 2, "credit": 64, "held": [)" +
              lease(40, true) + ", " + lease(80, false) + "]"));
  add("dispatch", "broker",
      body(
          "Dispatch",
          "\"heads\": [{\"token\": " + id_text(40) + ", \"job\": " + id_text(56) +
              R"(, "payload_offset": 0, "payload_size": 5, "timeout_ms": 30000, "type": 1, "attempt": 1,
                           "encoding": "Utf8", "priority": 4, "extra": 0}, {"token": )" +
              id_text(80) + ", \"job\": " + id_text(96) +
              R"(, "payload_offset": 5, "payload_size": 3, "timeout_ms": 1000, "type": 0, "attempt": 2,
                           "encoding": "Bytes", "priority": 9, "extra": 1}],
                           "extras": [{"headers": [{"key": "trace", "value": "abc"}]}])"),
      bytes("hello123"));
  add("dispatch_checkpoint", "broker",
      body(
          "Dispatch",
          "\"heads\": [{\"token\": " + id_text(40) + ", \"job\": " + id_text(56) +
              R"(, "payload_offset": 0, "payload_size": 5, "timeout_ms": 30000, "type": 1, "attempt": 2,
                           "encoding": "Utf8", "priority": 4, "extra": 1}],
                           "extras": [{"checkpoint_offset": 5, "checkpoint_size": 4,
                           "checkpoint_encoding": "Json"}])"),
      bytes("hello[37]"));
  add("results", "worker",
      body("Results", "\"sequence\": 6, \"heads\": [" + result_head(40, 0, 2, "Succeeded", "Json") +
                          ", " + result_head(80, 2, error.size(), "Raised", "Unspecified") + "]"),
      joined(bytes("42"), error));
  add("result_ack", "broker", body("ResultAck", R"("through": 6, "refused": [])"));
  add("result_ack_refused", "broker",
      body("ResultAck",
           "\"refused\": [{\"token\": " + id_text(40) + ", \"code\": \"StaleLease\"}]"));
  add("hand_back", "worker",
      body("HandBack", "\"tokens\": [" + id_text(40) + ", " + id_text(80) + "]"));
  add("recall", "broker", body("Recall", "\"tokens\": [" + id_text(40) + "]"));
  add("cancel_lease", "broker",
      body("CancelLease", "\"token\": " + id_text(40) + ", \"worker\": 3, \"grace_ms\": 2000"));
  add("revoke", "broker", body("Revoke", "\"tokens\": [" + id_text(40) + ", " + id_text(80) + "]"));
  add("worker_down", "agent",
      body("WorkerDown",
           "\"worker\": 3, \"end\": \"Crashed\", \"pid\": 4242, \"signal\": 11, \"exit_code\": "
           "-11, \"running\": [" +
               lease(40, false) + R"(], "rss_bytes": 1048576, "log_tail": "Segmentation fault")"));
  add("progress", "worker",
      body("Progress", "\"heads\": [{\"token\": " + id_text(40) +
                           R"(, "value": 0.5, "message_offset": 0, "message_size": 4}])"),
      bytes("half"));
  add("checkpoints", "worker",
      body("Checkpoints", "\"heads\": [{\"token\": " + id_text(40) +
                              R"(, "number": 7, "offset": 1, "size": 4, "encoding": "Json"}])"),
      bytes("_[37]"));
  add("checkpoint_ack", "broker",
      body("CheckpointAck", "\"heads\": [{\"token\": " + id_text(40) +
                                R"(, "number": 7, "code": "Unspecified"}, {"token": )" +
                                id_text(80) + R"(, "number": 1, "code": "StaleLease"}])"));
  add("progress_push", "broker",
      body(
          "ProgressPush",
          "\"views\": [{\"id\": " + id_text(10) +
              R"(, "at_ms": 1700000000000, "value": 0.5, "message_offset": 0, "message_size": 4}])"),
      bytes("half"));

  add("hello_operator", "operator",
      body("Hello", R"("protocol": 1, "role": "Operator", "client": "jobwire-ops/0.1")"));
  add("queue_look", "operator",
      body("QueueCommand", R"("request": 50, "action": "Look", "after": "images", "limit": 100)"));
  add("queue_pause", "operator",
      body("QueueCommand",
           R"("request": 51, "action": "Pause", "queue": "images", "by": "ada", "why": "größer",
              "until_ms": 1700000100000)"));
  add("queue_weight", "operator",
      body(
          "QueueCommand",
          R"("request": 52, "action": "SetWeight", "queue": "images", "by": "ada", "weight": 10)"));
  add("queue_reply", "broker",
      body(
          "QueueReply",
          R"("request": 50, "queues": [{"name": "mail", "weight": 1, "paused": true, "draining": true,
              "by": "ada", "why": "disk", "since_ms": 1700000000000, "until_ms": 1700000100000, "scheduled": 1,
              "queued": 2, "running": 3, "bytes": 600, "workers": 4, "dead": 5, "finished": 6},
              {"name": "news", "weight": 10}], "next": "news")"));
  add("queue_reply_refused", "broker",
      body(
          "QueueReply",
          R"("request": 51, "code": "StoreUnavailable", "message": "Redis is away", "retry_after_ms": 500)"));
  const std::string filter =
      "{\"queue\": \"images\", \"type\": \"thumbnail\", \"reason\": \"Raised\", \"error\": "
      "\"ValueError\", \"before_ms\": 1700000000000, \"ids\": [" +
      id_text(10) + ", " + id_text(30) + "]}";
  add("sweep_purge", "operator",
      body("Sweep",
           R"("request": 53, "action": "Purge", "filter": {"queue": "images"}, "by": "ada")"));
  add("sweep_replay", "operator",
      body("Sweep", "\"request\": 54, \"action\": \"Replay\", \"filter\": " + filter +
                        R"(, "by": "ada", "why": "fixed", "dry_run": true, "rate_per_s": 100,
                           "limit": 1000, "to_queue": "again")"));
  add("sweep_report", "broker",
      body("SweepReport",
           R"("request": 54, "matched": 7, "done": 5, "failed": 1, "finished": true,
              "before_ms": 1700000000000)"));
  add("sweep_report_refused", "broker",
      body("SweepReport",
           R"("request": 54, "code": "QuotaExceeded", "message": "16 sweeps are under way",
              "finished": true, "retry_after_ms": 1000)"));
  add("dead_query", "operator",
      body(
          "DeadQuery",
          "\"request\": 55, \"filter\": " + filter +
              R"(, "after": "images:1700000000000:0a0b0c0d-0e0f-1011-1213-141516171819", "limit": 500, "full": true)"));
  const std::string dead_job =
      "{\"job\": {\"id\": " + id_text(10) +
      R"(, "queue": "images", "type": "thumbnail", "payload_offset": 0, "payload_size": 5, "encoding": "Utf8",
         "priority": 9, "timeout_ms": 30000, "result_ttl_ms": 60000, "dedup_key": "k", "dedup_window_ms": 1000,
         "contract": 99, "keep_payload": true, "headers": [{"key": "trace", "value": "abc"}],
         "retry": {"attempts": 1, "timeouts": 1, "crashes": 1, "backoff": "Fixed", "base_ms": 10, "cap_ms": 20, "factor": 3}},
         "origin_queue": "photos", "reason": "Raised", "error_type": "builtins.ValueError",
         "error_message": "no such größe", "created_ms": 1700000000000, "died_ms": 1700000005000, "attempts": 2,
         "raised": 1, "timed_out": 0, "crashed": 1, "generation": 1, "payload_bytes": 5, "attempt_list": [{"number": 2,
         "generation": 1, "token": )" +
      id_text(40) +
      R"(, "worker": "node-1/3", "host": "node-1", "started_ms": 1700000004000, "ended_ms": 1700000005000,
         "outcome": "Raised", "run_us": 1500, "error_offset": 5, "error_size": )" +
      std::to_string(error.size()) + "}]}";
  add("dead_page", "broker",
      body("DeadPage", "\"request\": 55, \"jobs\": [" + dead_job + R"(], "next": "images:2")"),
      joined(bytes("hello"), error));
  add("dead_page_refused", "broker",
      body(
          "DeadPage",
          R"("request": 55, "code": "StoreUnavailable", "message": "Redis is away", "retry_after_ms": 500)"));
  add("dead_import", "operator",
      body("DeadImport", "\"request\": 56, \"jobs\": [" + dead_job + R"(], "by": "ada")"),
      joined(bytes("hello"), error));
  add("contract_put", "operator",
      body("ContractCommand",
           R"("request": 57, "action": "Put", "name": "shop", "schema_offset": 0, "schema_size": 4,
              "by": "ada", "why": "größer")"),
      bytes("BFBS"));
  add("contract_list", "operator",
      body("ContractCommand", R"("request": 58, "action": "List", "after": "mail")"));
  add("contract_reply", "broker",
      body("ContractReply",
           R"("request": 58, "contracts": [{"name": "shop", "bytes": 4, "methods": [
              {"type": "Shop.answer", "contract": 99}, {"type": "Shop.ask", "contract": 100}]}])"));
  add("contract_reply_refused", "broker",
      body(
          "ContractReply",
          R"("request": 57, "code": "InvalidArgument", "message": "contract shop: no rpc_service in it",
              "retry_after_ms": 500)"));
  return set;
}

std::vector<Bad> bad_messages(const Schema& schema) {
  std::vector<Bad> set;
  const auto add = [&](const char* name, const char* from, const char* code, Buffer envelope,
                       Buffer blob = {}) {
    set.push_back({name, from, code, std::move(envelope), std::move(blob)});
  };
  const Buffer hello = schema.message(body("Hello", R"("protocol": 1, "role": "Producer")"));
  const Buffer beat = schema.message(body("Heartbeat", R"("sequence": 1)"));
  const std::string one_job =
      body("Submit", "\"request\": 5, \"jobs\": [" + job(10, R"("encoding": "Bytes")") + "]");
  const Buffer submit = schema.message(one_job);

  add("empty", "none", "MalformedFrame", {});
  add("short", "none", "MalformedFrame", {hello.begin(), hello.begin() + 11});
  add("http", "none", "MalformedFrame", bytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  add("truncated", "producer", "MalformedFrame",
      {submit.begin(), submit.begin() + static_cast<std::ptrdiff_t>(submit.size() / 2)});
  Buffer version = hello;
  version[6] = '0', version[7] = '2';
  add("identifier_of_a_later_protocol", "none", "UnsupportedVersion", version);
  add("hello_protocol_2", "none", "UnsupportedVersion",
      schema.message(body("Hello", R"("protocol": 2, "role": "Producer")")));
  Buffer outside = hello;
  put_u32(outside, 0, 0x7FFFFFF0);
  add("root_outside", "none", "MalformedFrame", outside);
  Buffer vtable = hello;
  put_u32(vtable, get_u32(hello, 0), 0x40000000);
  add("vtable_outside", "none", "MalformedFrame", vtable);
  add("no_body", "producer", "UnknownKind", schema.message("{}"));
  add("sent_by_the_broker_only", "producer", "UnknownKind", schema.message(body("Receipts", "")));
  Buffer later = beat;
  const std::size_t root = get_u32(later, 0);
  const auto root_vtable = static_cast<std::size_t>(
      static_cast<std::int64_t>(root) - static_cast<std::int32_t>(get_u32(later, root)));
  later[root + later[root_vtable + 4]] = 99;
  add("kind_of_a_later_protocol", "producer", "UnknownKind", later);
  add("submit_before_hello", "none", "HelloFirst", submit);
  add("submit_by_a_worker", "worker", "WrongRole", submit);
  add("ready_by_a_producer", "producer", "WrongRole",
      schema.message(body("Ready", R"("slots": 1, "credit": 1)")));
  const Buffer look = schema.message(body("QueueCommand", R"("action": "Look")"));
  add("queue_command_by_a_producer", "producer", "WrongRole", look);
  add("queue_command_by_an_agent", "agent", "WrongRole", look);
  add("sweep_by_a_producer", "producer", "WrongRole", schema.message(body("Sweep", "")));
  add("dead_query_by_a_producer", "producer", "WrongRole", schema.message(body("DeadQuery", "")));
  add("dead_import_by_a_producer", "producer", "WrongRole", schema.message(body("DeadImport", "")));
  add("queue_command_action_unspecified", "operator", "InvalidArgument",
      schema.message(body("QueueCommand", R"("queue": "images")")));
  add("queue_command_action_unknown", "operator", "InvalidArgument",
      schema.message(body("QueueCommand", R"("action": 99, "queue": "images")")));
  add("sweep_action_unspecified", "operator", "InvalidArgument",
      schema.message(body("Sweep", R"("by": "ada")")));
  add("sweep_reason_unknown", "operator", "InvalidArgument",
      schema.message(body("Sweep", R"("action": "Drop", "by": "ada", "filter": {"reason": 99})")));
  add("dead_query_after_nowhere", "operator", "InvalidArgument",
      schema.message(body("DeadQuery", R"("after": "images:1")")));
  add("dead_import_by_nobody", "operator", "InvalidArgument",
      schema.message(body("DeadImport", "")));
  add("contract_command_by_a_producer", "producer", "WrongRole",
      schema.message(body("ContractCommand", R"("action": "List")")));
  add("contract_command_action_unspecified", "operator", "InvalidArgument",
      schema.message(body("ContractCommand", R"("name": "shop", "by": "ada")")));
  add("contract_command_by_nobody", "operator", "InvalidArgument",
      schema.message(body("ContractCommand", R"("action": "Remove", "name": "shop")")));
  add("contract_outside_the_blob", "operator", "MalformedFrame",
      schema.message(body("ContractCommand",
                          R"("action": "Put", "name": "shop", "by": "ada", "schema_size": 5)")),
      bytes("BFBS"));
  std::string many;
  for (int i = 0; i < 1025; ++i) many += std::string(i ? "," : "") + id_text(i);
  add("sweep_too_many_ids", "operator", "TooMany",
      schema.message(
          body("Sweep",
               "\"action\": \"Drop\", \"by\": \"ada\", \"filter\": {\"ids\": [" + many + "]}")));
  add("worker_down_by_a_worker", "worker", "WrongRole",
      schema.message(body("WorkerDown", R"("worker": 1, "end": "Crashed")")));
  add("hello_role_unspecified", "none", "InvalidArgument",
      schema.message(body("Hello", R"("protocol": 1)")));
  add("hello_role_unknown", "none", "InvalidArgument",
      schema.message(body("Hello", R"("protocol": 1, "role": 77)")));
  add("agent_without_host", "none_at_workers", "InvalidArgument",
      schema.message(body("Hello", R"("protocol": 1, "role": "Agent")")));
  add("worker_at_the_producers_door", "none", "WrongRole",
      schema.message(body("Hello", R"("protocol": 1, "role": "Worker")")));
  add("worker_down_end_unspecified", "agent", "InvalidArgument",
      schema.message(body("WorkerDown", R"("worker": 1)")));
  add("result_outside_the_blob", "worker", "MalformedFrame",
      schema.message(body("Results", "\"sequence\": 1, \"heads\": [" +
                                         result_head(40, 1, 2, "Succeeded", "Json") + "]")),
      bytes("42"));
  add("result_offset_wraps", "worker", "MalformedFrame",
      schema.message(body("Results", "\"sequence\": 1, \"heads\": [" +
                                         result_head(40, 0xFFFFFFFE, 4, "Succeeded", "Json") +
                                         "]")),
      bytes("1234"));
  add("result_without_outcome", "worker", "InvalidArgument",
      schema.message(body("Results", "\"sequence\": 1, \"heads\": [" +
                                         result_head(40, 0, 0, "Unspecified", "Json") + "]")));
  add("result_of_a_crash", "worker", "InvalidArgument",
      schema.message(body("Results", "\"sequence\": 1, \"heads\": [" +
                                         result_head(40, 0, 0, "Crashed", "Unspecified") + "]")));
  add("result_of_unknown_encoding", "worker", "InvalidArgument",
      schema.message(body("Results", "\"sequence\": 1, \"heads\": [" +
                                         result_head(40, 0, 0, "Succeeded", "Unspecified") + "]")));
  add("error_that_is_none", "worker", "MalformedFrame",
      schema.message(body("Results", "\"sequence\": 1, \"heads\": [" +
                                         result_head(40, 0, 20, "Raised", "Unspecified") + "]")),
      bytes("this is not an error"));
  add("error_too_large", "worker", "TooLarge",
      schema.message(body("Results", "\"sequence\": 1, \"heads\": [" +
                                         result_head(40, 0, 65537, "Raised", "Unspecified") + "]")),
      Buffer(65537, 0));
  std::string jobs;
  for (int i = 0; i < 1025; ++i) jobs += std::string(i ? "," : "") + "{}";
  add("too_many_jobs", "producer", "TooMany",
      schema.message(body("Submit", "\"request\": 5, \"jobs\": [" + jobs + "]")));
  std::string ids;
  for (int i = 0; i < 1025; ++i) ids += std::string(i ? "," : "") + id_text(i);
  add("too_many_ids", "producer", "TooMany",
      schema.message(body("ResultRequest", "\"request\": 6, \"ids\": [" + ids + "]")));
  add("ready_with_an_empty_name", "worker", "InvalidName",
      schema.message(body("Ready", R"("queues": [""], "slots": 1, "credit": 1)")));
  add("oversized_envelope", "none", "TooLarge", Buffer(1'048'577, 0));
  Buffer misplaced = beat;
  put_u32(misplaced, body_at(beat), 0x7FFFFFFF);
  add("body_without_vtable", "producer", "MalformedFrame", misplaced);
  return set;
}

namespace {

std::string hex_of(const Buffer& buffer) {
  std::string text;
  for (const std::uint8_t byte : buffer) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace

std::string index_of(const std::vector<Golden>& golden, const std::vector<Bad>& bad) {
  std::string text = "{\"good\": [\n";
  for (const Golden& message : golden) {
    text += (&message == golden.data() ? "" : ",\n") + std::string("{\"name\": \"") + message.name +
            "\", \"from\": \"" + message.from + "\", \"blob\": \"" + hex_of(message.blob) +
            "\",\n \"message\": " + message.text + "}";
  }
  text += "\n],\n\"bad\": [\n";
  for (const Bad& message : bad) {
    text += (&message == bad.data() ? "" : ",\n") + std::string("{\"name\": \"") + message.name +
            "\", \"from\": \"" + message.from + "\", \"code\": \"" + message.code +
            "\", \"blob_size\": " + std::to_string(message.blob.size()) + "}";
  }
  return text + "\n]}\n";
}

}  // namespace jobwire::golden
