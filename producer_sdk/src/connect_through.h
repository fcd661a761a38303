// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "jobwire/client.h"
#include "link.h"

JOBWIRE_NAMESPACE_BEGIN
namespace client_detail {

/// As Client::connect, over a link of somebody else's making. Exported for jobwire::testing.
JOBWIRE_EXPORT Result<Client> connect_through(std::unique_ptr<Link> link, ClientOptions options);

}  // namespace client_detail
JOBWIRE_NAMESPACE_END
