package parts;

import static org.junit.Assert.assertEquals;

import org.junit.Test;

public class SumTest {
    @Test
    public void sums() {
        assertEquals(10, Sum.of(4));
        assertEquals(2, Words.count("a b").size());
    }
}
