// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Marks what the library exports; everything else is hidden.
#define JOBWIRE_EXPORT [[gnu::visibility("default")]]

/// Opens the namespaces of the public API. The inline one carries the ABI version, so that two
/// versions of the library can live in one process.
#define JOBWIRE_NAMESPACE_BEGIN \
  namespace jobwire {           \
  inline namespace v1 {
#define JOBWIRE_NAMESPACE_END \
  }                           \
  }
