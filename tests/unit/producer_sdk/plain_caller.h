// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

/// Uses the client from code without exceptions; returns what came back.
std::string call_without_exceptions(const std::string& endpoint);
