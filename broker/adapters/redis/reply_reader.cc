// SPDX-License-Identifier: Apache-2.0
#include "adapters/redis/reply_reader.h"

#include <hiredis/read.h>

#include <new>

namespace jobwire::redis {

/// What hiredis calls for each value; `privdata` is the Reply. A value is no object, so every call
/// answers with the same address, which only must not be null.
struct ReplyReader::Functions {
  static Reply& of(const redisReadTask* task) { return *static_cast<Reply*>(task->privdata); }
  static void* none() {
    static char object;
    return &object;
  }
  static void* string(const redisReadTask* task, char* text, std::size_t size) {
    Reply& reply = of(task);
    const Reply::Kind kind = task->type == REDIS_REPLY_STATUS  ? Reply::Kind::kStatus
                             : task->type == REDIS_REPLY_ERROR ? Reply::Kind::kError
                                                               : Reply::Kind::kString;
    reply.values_.push_back({kind, size, static_cast<std::int64_t>(reply.text_.size())});
    reply.text_.append(text, size);
    return none();
  }
  static void* array(const redisReadTask* task, int elements) {
    of(task).values_.push_back({Reply::Kind::kArray, 0, elements});
    return none();
  }
  static void* integer(const redisReadTask* task, long long value) {
    of(task).values_.push_back({Reply::Kind::kInteger, 0, value});
    return none();
  }
  static void* nil(const redisReadTask* task) {
    of(task).values_.push_back({Reply::Kind::kNil, 0, 0});
    return none();
  }
  static void free(void*) {}
};

ReplyReader::ReplyReader() { reset(); }

ReplyReader::~ReplyReader() { redisReaderFree(reader_); }

void ReplyReader::reset() {
  static redisReplyObjectFunctions functions = {
      Functions::string, Functions::array, Functions::integer, Functions::nil, Functions::free};
  if (reader_) redisReaderFree(reader_);
  reader_ = redisReaderCreateWithFunctions(&functions);
  if (!reader_) throw std::bad_alloc();
  reader_->privdata = &reply_;
  reply_.values_.clear();
  reply_.text_.clear();
}

void ReplyReader::feed(std::string_view bytes) {
  redisReaderFeed(reader_, bytes.data(), bytes.size());
}

ReplyReader::Next ReplyReader::next() {
  // A reply whose first part has been read is still being gathered; only a finished one is dropped.
  if (reader_->ridx == -1) {
    reply_.values_.clear();
    reply_.text_.clear();
    constexpr std::size_t kKept = 1 << 20;
    if (reply_.text_.capacity() > kKept) reply_.text_.shrink_to_fit();
  }
  void* object = nullptr;
  if (redisReaderGetReply(reader_, &object) != REDIS_OK) return Next::kBroken;
  return object ? Next::kReply : Next::kNeedsMore;
}

}  // namespace jobwire::redis
