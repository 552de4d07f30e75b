package parts;

import java.util.Map;
import java.util.TreeMap;

public class Words {
    public static Map<String, Integer> count(String text) {
        Map<String, Integer> found = new TreeMap<>();
        for (String word : text.split(" ")) {
            found.merge(word, 1, Integer::sum);
        }
        return found;
    }
}
