#pragma once

#include <rocksdb/status.h>

#include <string>
#include <vector>

#include "store/requests.h"
#include "store/responses.h"

namespace balsa {

/// What a transaction needs of the state it runs on: the applying batch, or a read-only view.
class TxnState {
 public:
  virtual rocksdb::Status Read(const RangeRequest& request, RangeOutcome* outcome) = 0;
  virtual rocksdb::Status Put(const PutRequest& request, std::string* response) = 0;
  virtual rocksdb::Status DeleteRange(const DeleteRangeRequest& request, std::string* response) = 0;
  virtual bool LeaseExists(int64_t id) = 0;
  virtual int64_t revision() = 0;
  virtual int64_t compact_revision() = 0;

 protected:
  ~TxnState() = default;
};

bool TxnIsReadOnly(const TxnRequest& request);
/// Whether any branch puts: a full store refuses those alone.
bool TxnPuts(const TxnRequest& request);

/// Chooses the branches (all compares, nested ones too, see the state before the transaction), checks the chosen operations, and runs
/// them; when a check fails nothing has run. Appends an encoded TxnResponse without its header to `response`.
rocksdb::Status RunTxn(const TxnRequest& request, TxnState* state, ErrorCode* error, std::string* response);

}  // namespace balsa
