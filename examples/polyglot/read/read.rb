# Read: an order's text becomes data.
#
#     customer: Ada Lovelace
#     country: DE
#     3 x keyboard @ 49.90

class UnreadableOrder < StandardError; end

FIELD = /\A(?<name>customer|country):\s*(?<value>.*\S)\z/
LINE = /\A(?<quantity>\d{1,6})\s*x\s+(?<item>.*\S)\s*@\s*(?<price>\d{1,7}\.\d\d)\z/

def handler(event:, context:)
  order = { lines: [] }
  event['order'].lines.map(&:strip).each.with_index(1) do |text, number|
    next if text.empty?

    add(order, text) or raise UnreadableOrder, "line #{number} cannot be read: #{text}"
  end
  puts "#{order[:lines].size} lines"
  order
end

# Nil for what is neither a field nor a line.
def add(order, text)
  if (found = FIELD.match(text))
    order[found[:name].to_sym] = found[:value]
  elsif (found = LINE.match(text))
    order[:lines] << { item: found[:item], quantity: found[:quantity].to_i, price: found[:price] }
  end
end
