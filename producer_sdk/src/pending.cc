// SPDX-License-Identifier: Apache-2.0
#include "jobwire/pending.h"

#include "deadline.h"
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
Result<T> Pending<T>::get_for(std::chrono::milliseconds timeout) const {
  auto answer = state_->wait_until(client_detail::deadline_in(timeout));
  if (!answer) return Error(ErrorCode::Timeout, "no answer yet");
  return std::move(*answer);
}

template <class T>
void Pending<T>::then(std::function<void(const Result<T>&)> fn) const {
  state_->then(std::move(fn));
}

template class Pending<Receipt>;
template class Pending<JobResult>;

JOBWIRE_NAMESPACE_END
