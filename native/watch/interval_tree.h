#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace balsa {

/// Half-open ranges of keys and what is stored under each; finds all ranges that hold a key. A treap ordered by range, each node knowing
/// the greatest end below it. The end "\0" means no end.
template <typename Value>
class IntervalTree {
 public:
  Value& FindOrInsert(std::string_view begin, std::string_view end) {
    Value* found = nullptr;
    root_ = Insert(std::move(root_), begin, end, &found);
    return *found;
  }

  Value* Find(std::string_view begin, std::string_view end) {
    Node* node = root_.get();
    while (node != nullptr) {
      int order = Order(begin, end, *node);
      if (order == 0) return &node->value;
      node = order < 0 ? node->left.get() : node->right.get();
    }
    return nullptr;
  }

  void Erase(std::string_view begin, std::string_view end) { root_ = Erase(std::move(root_), begin, end); }

  template <typename Visitor>
  void Stab(std::string_view key, Visitor visit) {
    Stab(root_.get(), key, visit);
  }

  bool empty() const { return root_ == nullptr; }

 private:
  struct Node {
    std::string begin;
    std::string end;
    std::string_view max_end;  // Of this node's or a descendant's `end`.
    uint64_t priority;
    Value value;
    std::unique_ptr<Node> left;
    std::unique_ptr<Node> right;
  };
  using Link = std::unique_ptr<Node>;

  static bool Unbounded(std::string_view end) { return end.size() == 1 && end[0] == '\0'; }
  static bool EndLess(std::string_view a, std::string_view b) {
    if (Unbounded(a)) return false;
    return Unbounded(b) || a < b;
  }
  static bool Before(std::string_view key, std::string_view end) { return Unbounded(end) || key < end; }

  static int Order(std::string_view begin, std::string_view end, const Node& node) {
    int order = begin.compare(node.begin);
    return order != 0 ? order : end.compare(node.end);
  }

  static void Update(Node* node) {
    node->max_end = node->end;
    for (const Link* child : {&node->left, &node->right}) {
      if (*child && EndLess(node->max_end, (*child)->max_end)) node->max_end = (*child)->max_end;
    }
  }

  static Link RotateRight(Link node) {
    Link left = std::move(node->left);
    node->left = std::move(left->right);
    Update(node.get());
    left->right = std::move(node);
    Update(left.get());
    return left;
  }

  static Link RotateLeft(Link node) {
    Link right = std::move(node->right);
    node->right = std::move(right->left);
    Update(node.get());
    right->left = std::move(node);
    Update(right.get());
    return right;
  }

  Link Insert(Link node, std::string_view begin, std::string_view end, Value** found) {
    if (!node) {
      node = std::make_unique<Node>();
      node->begin = begin;
      node->end = end;
      node->priority = NextPriority();
      *found = &node->value;
    } else if (int order = Order(begin, end, *node); order == 0) {
      *found = &node->value;
    } else if (order < 0) {
      node->left = Insert(std::move(node->left), begin, end, found);
      if (node->left->priority > node->priority) return RotateRight(std::move(node));
    } else {
      node->right = Insert(std::move(node->right), begin, end, found);
      if (node->right->priority > node->priority) return RotateLeft(std::move(node));
    }
    Update(node.get());
    return node;
  }

  static Link Merge(Link a, Link b) {
    if (!a) return b;
    if (!b) return a;
    if (a->priority > b->priority) {
      a->right = Merge(std::move(a->right), std::move(b));
      Update(a.get());
      return a;
    }
    b->left = Merge(std::move(a), std::move(b->left));
    Update(b.get());
    return b;
  }

  static Link Erase(Link node, std::string_view begin, std::string_view end) {
    if (!node) return node;
    int order = Order(begin, end, *node);
    if (order == 0) return Merge(std::move(node->left), std::move(node->right));
    Link& child = order < 0 ? node->left : node->right;
    child = Erase(std::move(child), begin, end);
    Update(node.get());
    return node;
  }

  template <typename Visitor>
  static void Stab(Node* node, std::string_view key, Visitor& visit) {
    while (node != nullptr && Before(key, node->max_end)) {
      Stab(node->left.get(), key, visit);
      if (key < node->begin) return;
      if (Before(key, node->end)) visit(node->value);
      node = node->right.get();
    }
  }

  uint64_t NextPriority() {  // xorshift64: balance needs no more.
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return random_;
  }

  Link root_;
  uint64_t random_ = 0x9e3779b97f4a7c15ull;
};

}  // namespace balsa
