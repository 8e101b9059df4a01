#include "store/requests.h"
#include "store/wire.h"

namespace balsa {

namespace {

/// Transactions within transactions; far beyond what any client writes, and bounded because decoding recurses.
constexpr int kMaxNesting = 64;

bool DecodeCompare(std::string_view bytes, Compare* compare) {
  WireReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1: {
        uint64_t result = reader.Varint();
        if (result > 3) return false;
        compare->result = static_cast<Compare::Result>(result);
        break;
      }
      case 2: {
        uint64_t target = reader.Varint();
        if (target > 4) return false;
        compare->target = static_cast<Compare::Target>(target);
        break;
      }
      case 3:
        compare->key = reader.Bytes();
        break;
      case 4:
      case 5:
      case 6:
      case 8:
        compare->number = reader.Int64();
        break;
      case 7:
        compare->value = reader.Bytes();
        break;
      case 64:
        compare->range_end = reader.Bytes();
        break;
      default:
        reader.Skip();
    }
  }
  return reader.ok();
}

bool DecodeTxnNested(std::string_view bytes, TxnRequest* request, int depth);

bool DecodeOp(std::string_view bytes, RequestOp* op, int depth) {
  WireReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1:
        op->kind = RequestOp::Kind::kRange;
        op->range = RangeRequest();
        if (!DecodeRange(reader.Bytes(), &op->range)) return false;
        break;
      case 2:
        op->kind = RequestOp::Kind::kPut;
        op->put = PutRequest();
        if (!DecodePut(reader.Bytes(), &op->put)) return false;
        break;
      case 3:
        op->kind = RequestOp::Kind::kDeleteRange;
        op->delete_range = DeleteRangeRequest();
        if (!DecodeDeleteRange(reader.Bytes(), &op->delete_range)) return false;
        break;
      case 4:
        op->kind = RequestOp::Kind::kTxn;
        op->txn = std::make_unique<TxnRequest>();
        if (!DecodeTxnNested(reader.Bytes(), op->txn.get(), depth + 1)) return false;
        break;
      default:
        reader.Skip();
    }
  }
  return reader.ok();
}

bool DecodeTxnNested(std::string_view bytes, TxnRequest* request, int depth) {
  if (depth > kMaxNesting) return false;
  WireReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1:
        if (!DecodeCompare(reader.Bytes(), &request->compare.emplace_back())) return false;
        break;
      case 2:
        if (!DecodeOp(reader.Bytes(), &request->success.emplace_back(), depth)) return false;
        break;
      case 3:
        if (!DecodeOp(reader.Bytes(), &request->failure.emplace_back(), depth)) return false;
        break;
      default:
        reader.Skip();
    }
  }
  return reader.ok();
}

}  // namespace

bool DecodeRange(std::string_view bytes, RangeRequest* request) {
  WireReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1:
        request->key = reader.Bytes();
        break;
      case 2:
        request->range_end = reader.Bytes();
        break;
      case 3:
        request->limit = reader.Int64();
        break;
      case 4:
        request->revision = reader.Int64();
        break;
      case 5: {
        uint64_t order = reader.Varint();
        if (order > 2) return false;
        request->sort_order = static_cast<SortOrder>(order);
        break;
      }
      case 6: {
        uint64_t target = reader.Varint();
        if (target > 4) return false;
        request->sort_target = static_cast<SortTarget>(target);
        break;
      }
      case 8:
        request->keys_only = reader.Bool();
        break;
      case 9:
        request->count_only = reader.Bool();
        break;
      case 10:
        request->min_mod_revision = reader.Int64();
        break;
      case 11:
        request->max_mod_revision = reader.Int64();
        break;
      case 12:
        request->min_create_revision = reader.Int64();
        break;
      case 13:
        request->max_create_revision = reader.Int64();
        break;
      default:  // `serializable` (7) is settled before the request comes here.
        reader.Skip();
    }
  }
  return reader.ok();
}

bool DecodePut(std::string_view bytes, PutRequest* request) {
  WireReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1:
        request->key = reader.Bytes();
        break;
      case 2:
        request->value = reader.Bytes();
        break;
      case 3:
        request->lease = reader.Int64();
        break;
      case 4:
        request->prev_kv = reader.Bool();
        break;
      case 5:
        request->ignore_value = reader.Bool();
        break;
      case 6:
        request->ignore_lease = reader.Bool();
        break;
      default:
        reader.Skip();
    }
  }
  return reader.ok();
}

bool DecodeDeleteRange(std::string_view bytes, DeleteRangeRequest* request) {
  WireReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1:
        request->key = reader.Bytes();
        break;
      case 2:
        request->range_end = reader.Bytes();
        break;
      case 3:
        request->prev_kv = reader.Bool();
        break;
      default:
        reader.Skip();
    }
  }
  return reader.ok();
}

bool DecodeTxn(std::string_view bytes, TxnRequest* request) { return DecodeTxnNested(bytes, request, 0); }

bool DecodeCompaction(std::string_view bytes, int64_t* revision) {
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) {
      *revision = reader.Int64();
    } else {
      reader.Skip();
    }
  }
  return reader.ok();
}

bool DecodeLeaseGrant(std::string_view bytes, int64_t* id, int64_t* ttl) {
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) {
      *ttl = reader.Int64();
    } else if (reader.field() == 2) {
      *id = reader.Int64();
    } else {
      reader.Skip();
    }
  }
  return reader.ok();
}

bool DecodeLeaseRevoke(std::string_view bytes, int64_t* id) { return DecodeCompaction(bytes, id); }

bool DecodeLeaseCheckpoint(std::string_view bytes, std::vector<LeaseCheckpoint>* checkpoints) {
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() != 1) {
      reader.Skip();
      continue;
    }
    LeaseCheckpoint& checkpoint = checkpoints->emplace_back();
    if (!DecodeLeaseGrant(reader.Bytes(), &checkpoint.remaining_ttl, &checkpoint.id)) return false;
  }
  return reader.ok();
}

bool DecodeAlarm(std::string_view bytes, AlarmRequest* request) {
  WireReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1: {
        uint64_t action = reader.Varint();
        if (action > 2) return false;
        request->action = static_cast<AlarmRequest::Action>(action);
        break;
      }
      case 2:
        request->member = reader.Varint();
        break;
      case 3: {
        uint64_t alarm = reader.Varint();
        if (alarm > 2) return false;
        request->alarm = static_cast<AlarmType>(alarm);
        break;
      }
      default:
        reader.Skip();
    }
  }
  return reader.ok();
}

bool DecodeMetaUpdate(std::string_view bytes, std::vector<MetaWrite>* writes) {
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) {
      MetaWrite& write = writes->emplace_back();
      WireReader record(reader.Bytes());
      while (record.Next()) {
        if (record.field() == 1) {
          write.key = record.Bytes();
        } else if (record.field() == 2) {
          write.value = record.Bytes();
        } else {
          record.Skip();
        }
      }
      if (!record.ok()) return false;
    } else if (reader.field() == 2) {
      MetaWrite& write = writes->emplace_back();
      write.key = reader.Bytes();
      write.is_delete = true;
    } else {
      reader.Skip();
    }
  }
  return reader.ok();
}

bool DecodeCommand(std::string_view bytes, Command* command) {
  WireReader reader(bytes);
  while (reader.Next()) {
    uint32_t field = reader.field();
    if (field == 1) {
      command->proposal = reader.Varint();
    } else if (field == 2) {
      command->proposer = reader.Fixed64();
    } else if (field >= 10 && field <= 19) {
      command->kind = static_cast<Command::Kind>(field);
      command->request = reader.Bytes();
    } else {
      reader.Skip();
    }
  }
  return reader.ok();
}

}  // namespace balsa
