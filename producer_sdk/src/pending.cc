// SPDX-License-Identifier: Apache-2.0
#include "jobwire/pending.h"

#include "pending_state.h"

JOBWIRE_NAMESPACE_BEGIN

template <class T>
Pending<T>::Pending(std::shared_ptr<client_detail::PendingState<T>> state)
    : state_(std::move(state)) {}

template <class T>
bool Pending<T>::ready() const {
  return state_->ready();
}

template <class T>
Result<T> Pending<T>::get_for(std::chrono::milliseconds timeout, std::stop_token stop) const {
  auto answer = state_->wait_until(client_detail::deadline_in(timeout), stop);
  if (answer) return std::move(*answer);
  if (stop.stop_requested()) return client_detail::stopped_error();
  return Error(ErrorCode::Timeout, "no answer yet");
}

template <class T>
bool Pending<T>::when_ready(Fn fn) const {
  return state_->when_settled(fn);
}

template <class T>
void Pending<T>::then(Fn fn) const {
  if (!state_->when_settled(fn)) fn(state_->answer());
}

template <class T>
std::future<Result<T>> Pending<T>::to_future() const {
  const auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  then([promise](const Result<T>& answer) { promise->set_value(answer); });
  return future;
}

template class Pending<Receipt>;
template class Pending<JobResult>;

JOBWIRE_NAMESPACE_END
